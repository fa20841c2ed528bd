"""Checks of a host's engine and its connections. The table in docs/database.md lists them."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.pool.base import ResetStyle

from ..config import ConfigurationError
from .errors import UnsuitableDatabase

DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "sqlite": ("pysqlite",)}
#: Pools that give several threads one connection, or refuse to open a second.
_SHARED_POOLS = ("StaticPool", "SingletonThreadPool", "AssertionPool")
IN_MEMORY = "A SQLite database in memory belongs to one connection: name a file instead."
_UTF8_ADVICE = "make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the rows with pg_dump"
POOLER_ADVICE = (
    "a pooler stands between the API and PostgreSQL: set PROVISIONING_DATABASE_POOLER to 'transaction', "
    "or to 'session' if it lends a connection for as long as the client keeps its own"
)
PRIVILEGES_ADVICE = (
    "the database role may not do this: GRANT SELECT, INSERT, UPDATE, DELETE on the API's tables to it; "
    "`flask provisioning doctor` names those that it lacks"
)


class EngineFault(NamedTuple):
    """Reason why an engine cannot be used, and how to fix it."""

    detail: str
    advice: str

    def __str__(self) -> str:
        return f"{self.detail}: {self.advice}."


def get_isolation_level(engine: Engine) -> str:
    """Return the isolation level of the engine's connections in capitals; empty for the database's default."""
    level = engine.get_execution_options().get("isolation_level") or engine.dialect._on_connect_isolation_level
    return (level or "").replace("_", " ").upper()


def require_suitable_engine(engine: Engine) -> Engine:
    """Return `engine` if it can run transactions, as far as can be checked without a connection.

    Raises `ConfigurationError` with the fix.
    """
    name, driver = engine.dialect.name, engine.dialect.driver
    if name not in DRIVERS:
        raise ConfigurationError(f"{name} is not supported: use {' or '.join(DRIVERS)}.")
    if engine.dialect.is_async:
        raise ConfigurationError("The engine is asynchronous: make an Engine with a synchronous driver beside it.")
    if driver not in DRIVERS[name]:
        raise ConfigurationError(f"The driver {driver} is not supported: use {' or '.join(DRIVERS[name])}.")
    if name == "sqlite" and is_in_memory(engine.url):
        raise ConfigurationError(IN_MEMORY)
    if fault := _find_engine_fault(engine):
        raise ConfigurationError(str(fault))
    return engine


def _find_engine_fault(engine: Engine) -> EngineFault | None:
    kinds, options = [kind.__name__ for kind in type(engine.pool).__mro__], engine.get_execution_options()
    shows_uncommitted = get_isolation_level(engine) == "READ UNCOMMITTED" or engine.url.query.get("cache") == "shared"
    if shows_uncommitted and engine.dialect.name == "sqlite":
        return EngineFault(
            "With READ UNCOMMITTED or cache=shared, SQLite shows what has not been committed", "leave both out"
        )
    if shared := next((kind for kind in _SHARED_POOLS if kind in kinds), None):
        return EngineFault(
            f"The engine's {shared} has one connection for several threads", "use a QueuePool or a NullPool"
        )
    if (
        engine.pool._reset_on_return is ResetStyle.reset_none
        and "NullPool" not in kinds
        and not _has_reset_listener(engine)
    ):
        return EngineFault(
            "The engine's pool does not roll back what is returned to it, and the next user would commit it",
            "leave pool_reset_on_return out",
        )
    if moved := (options.get("schema_translate_map") or {}).get(None):
        return EngineFault(
            f"The engine's schema_translate_map moves tables that name no schema to {moved!r}",
            f"give the API an engine without that entry, and let search_path begin with {moved!r}",
        )
    if options.get("stream_results") and engine.dialect.name == "postgresql":
        return EngineFault(
            "The engine's stream_results makes a cursor of each statement, and SAVEPOINT none",
            "give stream_results to the statements that need it",
        )
    if options.get("postgresql_readonly"):
        return EngineFault(
            "The engine's transactions are read-only (postgresql_readonly)", "give the API one that may write"
        )
    return None


def _has_reset_listener(engine: Engine) -> bool:
    """Return True if the host listens to the pool's ``reset`` event and may roll back there itself."""
    return any(True for _ in engine.pool.dispatch.reset)


def connect(engine: Engine) -> Connection:
    """Open a connection. Raises `UnsuitableDatabase` for a database in SQL_ASCII, which SQLAlchemy cannot read."""
    try:
        return engine.connect()
    except TypeError as error:
        raise UnsuitableDatabase(
            f"The database's encoding is SQL_ASCII, whose texts the driver returns as bytes: {_UTF8_ADVICE}."
        ) from error


def require_suitable_connection(connection: Connection) -> None:
    """Raise `UnsuitableDatabase` if `find_connection_fault` finds a fault."""
    if fault := find_connection_fault(connection):
        raise UnsuitableDatabase(str(fault))


def find_connection_fault(connection: Connection) -> EngineFault | None:
    """Return the fault of the database or its connections that makes transactions unsafe; None if there is none.

    `connection` is unmodified, as the engine opens it. Needs no round trip to PostgreSQL.
    """
    driver: Any = connection.connection.dbapi_connection
    if getattr(driver, "autocommit", False) is True and get_isolation_level(connection.engine) != "AUTOCOMMIT":
        return EngineFault(
            "The driver commits each statement by itself, unknown to SQLAlchemy",
            "remove autocommit from connect_args and from functions that listen to connect",
        )
    return (_find_sqlite_fault if connection.dialect.name == "sqlite" else _find_postgresql_fault)(driver)


def _find_sqlite_fault(driver: Any) -> EngineFault | None:
    (encoding,) = driver.execute("PRAGMA encoding").fetchone()
    if encoding in ("UTF-8", b"UTF-8") and driver.text_factory is str:
        return None
    if encoding in ("UTF-8", b"UTF-8"):
        return EngineFault("The connections' text_factory is not str", "take it out")
    return EngineFault(f"The database's encoding is {encoding}", "make a database whose encoding is UTF-8")


def _find_postgresql_fault(driver: Any) -> EngineFault | None:
    server, client = (driver.info.parameter_status(f"{side}_encoding") for side in ("server", "client"))
    if not _is_utf8(server):
        return EngineFault(
            f"The database's encoding is {server}, which cannot store most names",
            _UTF8_ADVICE,
        )
    if not _is_utf8(client):
        return EngineFault(f"The connections' client_encoding is {client}", "take it out, or set it to utf8")
    return None


def _is_utf8(encoding: str | None) -> bool:
    """Return True if `encoding` is a name of UTF-8, or None because a server or pooler does not report it."""
    return (encoding or "UTF8").upper().replace("-", "") in ("UTF8", "UNICODE")


def is_behind_pooler(connection: Connection) -> bool:
    """Return True if a pooler is in between: the server process is not the one that the connection was opened to."""
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    return bool(process != driver.info.backend_pid)


def is_in_memory(url: URL) -> bool:
    """Return True if `url` names a SQLite database without a file."""
    return not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"
