"""Requirements on a host's engine and its connections; docs/hosting.md has the table."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine
from sqlalchemy.engine import URL
from sqlalchemy.pool.base import ResetStyle

from ..config import ConfigurationError
from .errors import UnsuitableDatabase

DRIVERS = {"postgresql": ("psycopg", "psycopg2"), "sqlite": ("pysqlite",)}
#: Pools that lend one connection to several at once, or refuse the second.
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
    """A reason to refuse an engine, and what to do about it."""

    detail: str
    advice: str

    def __str__(self) -> str:
        return f"{self.detail}: {self.advice}."


def get_isolation_level(engine: Engine) -> str:
    """The isolation level that `engine` gives its connections, in capitals; empty where the database chooses."""
    level = engine.get_execution_options().get("isolation_level") or engine.dialect._on_connect_isolation_level
    return (level or "").replace("_", " ").upper()


def require_suitable_engine(engine: Engine) -> Engine:
    """Return `engine` if units of work can be whole on it, as far as can be seen without a connection.

    Raises `ConfigurationError` that says what to change.
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
    """Return whether the host listens to the pool's `reset`, to do by itself what the pool does not."""
    return any(True for _ in engine.pool.dispatch.reset)


def connect(engine: Engine) -> Connection:
    """Open a connection. Raises `Unsuitable` where SQLAlchemy cannot read what the server says of itself."""
    try:
        return engine.connect()
    except TypeError as error:
        raise UnsuitableDatabase(
            f"The database's encoding is SQL_ASCII, whose texts the driver returns as bytes: {_UTF8_ADVICE}."
        ) from error


def require_suitable_connection(connection: Connection) -> None:
    """Raise `Unsuitable` where `find_fault` finds one."""
    if fault := find_connection_fault(connection):
        raise UnsuitableDatabase(str(fault))


def find_connection_fault(connection: Connection) -> EngineFault | None:
    """Return what in the database, or in how the host opens connections to it, makes units of work unsafe; or None.

    `connection` is one as the engine makes them. Costs PostgreSQL no round trip.
    """
    driver: Any = connection.connection.dbapi_connection
    if getattr(driver, "autocommit", False) is True and get_isolation_level(connection.engine) != "AUTOCOMMIT":
        return EngineFault(
            "The driver commits each statement by itself, unknown to SQLAlchemy",
            "take autocommit out of connect_args and of functions that listen to connect",
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
            f"The database's encoding is {server}, which has no place for most names",
            _UTF8_ADVICE,
        )
    if not _is_utf8(client):
        return EngineFault(f"The connections' client_encoding is {client}", "take it out, or set it to utf8")
    return None


def _is_utf8(encoding: str | None) -> bool:
    """Return whether a server or a pooler calls UTF-8 so; it is believed where the other end does not tell."""
    return (encoding or "UTF8").upper().replace("-", "") in ("UTF8", "UNICODE")


def is_behind_pooler(connection: Connection) -> bool:
    """Return whether a pooler stands between: another server process answers than the connection was told of."""
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (process,) = cursor.fetchone()
    return bool(process != driver.info.backend_pid)


def is_in_memory(url: URL) -> bool:
    """Return whether `url` names a SQLite database without a file."""
    return not url.database or ":memory:" in url.database or url.query.get("mode") == "memory"
