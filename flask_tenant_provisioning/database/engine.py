"""The engine of a mount: the host's own, one made from a URL, or a SQLite file in the instance folder.

A forked process does not use the connections that it inherits from its parent: two processes that share a connection
would read each other's responses. `os.register_at_fork` reports most forks; servers that fork in C (uWSGI) do not
trigger it, so each unit of work also compares the process id.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, Pool, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from ..config import Config, ConfigurationError
from .errors import FailureKind, classify_failure
from .requirements import DRIVERS, IN_MEMORY, get_isolation_level, is_in_memory, require_suitable_engine

logger = logging.getLogger(__name__)
DEFAULT_FILE = "provisioning.sqlite3"


def resolve_engine(app: Flask, db: Any, config: Config) -> tuple[Engine, bool]:
    """Return the engine for `db`, and True if it was created here rather than by the host.

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None. From then on a forked process opens its own
    connections. Raises `ConfigurationError` for another object and for an engine that cannot be used.
    """
    _warn_about_unused_database(app, db, config)
    engine, is_own = _find_engine(app, db, config)
    watch_forks(require_suitable_engine(engine))
    return engine, is_own


def _find_engine(app: Flask, db: Any, config: Config) -> tuple[Engine, bool]:
    if isinstance(db, Engine):
        return db, False
    if is_flask_sqlalchemy(db):
        return _get_flask_sqlalchemy_engine(app, db), False
    if db is None or isinstance(db, str | URL):
        return _create_own_engine(app, db if db is not None else config.database_url, config), True
    given = f"the class {db.__name__}" if isinstance(db, type) else type(db).__name__
    if hasattr(db, "sync_engine"):
        given += ": make an Engine with a synchronous driver beside it"
    raise ConfigurationError(f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not {given}.")


def is_flask_sqlalchemy(db: Any) -> bool:
    """Return True if `db` is a Flask-SQLAlchemy object, or one with the same interface."""
    return hasattr(type(db), "init_app") and hasattr(type(db), "engine")


def _warn_about_unused_database(app: Flask, db: Any, config: Config) -> None:
    """Log a warning if the tables are in a different database than the configuration suggests."""
    if is_host_database_unused(app, db, config):
        logger.warning(
            "the API stores its tables in its own SQLite file, not in the app's Flask-SQLAlchemy database: "
            "call provisioning.init_app(app, db), or set PROVISIONING_DATABASE_URL",
            extra={"file": os.path.join(app.instance_path, DEFAULT_FILE)},
        )
    elif db is not None and config.database_url is not None and db != config.database_url:
        logger.warning(
            "PROVISIONING_DATABASE_URL has no effect: init_app was given a database", extra={"given": type(db).__name__}
        )


def is_host_database_unused(app: Flask, db: Any, config: Config) -> bool:
    """Return True if the app uses Flask-SQLAlchemy but no database is configured for the API."""
    return db is None and config.database_url is None and "sqlalchemy" in app.extensions


#: Returns a connection from the pool, or a new one.
Connect = Callable[[], Connection]


def make_read_connect(engine: Engine) -> Connect:
    """Return a function that connects in autocommit mode."""
    is_plain = engine.dialect.name == "sqlite" or get_isolation_level(engine) == "AUTOCOMMIT"
    return engine.connect if is_plain else _connect_at_level(engine, "AUTOCOMMIT")


def make_write_connect(engine: Engine) -> Connect:
    """Return a function that connects with support for transactions.

    An isolation level chosen by the host is kept, except AUTOCOMMIT. On SQLite, the unit of work starts its transaction
    with its own BEGIN.
    """
    if get_isolation_level(engine) != "AUTOCOMMIT":
        return engine.connect
    if engine.dialect.name == "sqlite":
        rolls_back = not getattr(engine.dialect, "skip_autocommit_rollback", False)
        return engine.connect if rolls_back else _connect_at_level(engine, "SERIALIZABLE")
    return _connect_at_level(engine, "READ COMMITTED")


def _connect_at_level(engine: Engine, level: str) -> Connect:
    """Return a function that connects at this isolation level.

    A copy of the engine is cheaper than setting the level on each connection, but an option set on the engine overrides
    the copy's.
    """
    if "isolation_level" not in engine.get_execution_options():
        return engine.execution_options(isolation_level=level).connect
    return lambda: engine.connect().execution_options(isolation_level=level)


def _get_flask_sqlalchemy_engine(app: Flask, db: Any) -> Engine:
    try:
        with app.app_context():
            engine: Engine = db.engine
            return engine
    except (RuntimeError, KeyError) as error:
        raise ConfigurationError(
            "Call db.init_app(app) before provisioning.init_app(app, db), with SQLALCHEMY_DATABASE_URI set."
        ) from error


def _create_own_engine(app: Flask, url: str | URL | None, config: Config) -> Engine:
    """Create an engine for `url`. Raises `ConfigurationError` if the URL, the options or the driver are invalid."""
    try:
        database_url = make_url(_make_default_url(app) if url is None else url)
        return (
            _create_sqlite_engine(database_url, config)
            if database_url.get_backend_name() == "sqlite"
            else _create_postgresql_engine(database_url, config)
        )
    except ModuleNotFoundError as error:
        install = "pip install 'flask-tenant-provisioning[postgresql]'"
        advice = install if error.name == "psycopg" else f"use {' or '.join(DRIVERS)}"
        raise ConfigurationError(f"The database's driver is missing ({error.name}): {advice}.") from error
    except ArgumentError as error:
        raise ConfigurationError("The database must be a URL such as postgresql://host/name.") from error
    except TypeError as error:
        raise ConfigurationError(f"PROVISIONING_DATABASE_OPTIONS does not suit create_engine: {error}") from error


def _make_default_url(app: Flask) -> str:
    os.makedirs(app.instance_path, exist_ok=True)
    return f"sqlite:///{os.path.join(app.instance_path, DEFAULT_FILE)}"


def _create_postgresql_engine(url: URL, config: Config) -> Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    defaults: dict[str, Any] = {"connect_timeout": 5, "client_encoding": "utf8", **_KEEPALIVE}
    if config.database_pooler == "transaction":
        if url.get_driver_name() == "psycopg":
            defaults["prepare_threshold"] = None
        return _create_autocommit_engine(url, defaults, config)
    engine = _create_autocommit_engine(url, defaults, config, **_make_statement_timeout(url, config))
    if not _get_startup_options(url, config):
        event.listen(engine, "do_connect", _connect_without_refused_options)
    return engine


def _connect_without_refused_options(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """Open a connection. If a pooler refuses the statement timeout, omit it for this and all later connections."""
    try:
        return dialect.connect(*arguments, **options)
    except dialect.loaded_dbapi.Error as error:
        if classify_failure(error) is not FailureKind.STARTUP_REFUSED or options.pop("options", None) is None:
            raise
        logger.warning(
            "PROVISIONING_STATEMENT_TIMEOUT_SECONDS has no effect, since a pooler refuses it: set the timeout on the "
            "role (ALTER ROLE … SET statement_timeout = '10s'), and PROVISIONING_DATABASE_POOLER to 'transaction' or "
            "'session'",
            extra={"reason": "startup_refused"},
        )
        return dialect.connect(*arguments, **options)


#: With these, libpq detects an unreachable server within 15 seconds; the defaults of Linux take a quarter of an hour
#: while sending and two hours while waiting.
_KEEPALIVE = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 5}


def _get_startup_options(url: URL, config: Config) -> str:
    """Return the operator's startup ``options`` from `connect_args` or the URL; empty if there are none."""
    given = config.database_options.get("connect_args", {}).get("options") or url.query.get("options", "")
    return str(given)


def _make_statement_timeout(url: URL, config: Config) -> dict[str, str]:
    """Return startup options that set ``statement_timeout``; the operator's own options take precedence."""
    seconds = config.statement_timeout_seconds
    return {"options": f"-cstatement_timeout={seconds}s {_get_startup_options(url, config)}"} if seconds else {}


def _create_sqlite_engine(url: URL, config: Config) -> Engine:
    if is_in_memory(url):
        raise ConfigurationError(IN_MEMORY)
    engine = _create_autocommit_engine(url, {"timeout": 5, "check_same_thread": False}, config)
    event.listen(engine, "connect", _make_sqlite_listener(config.sqlite_synchronous))
    return engine


def _create_autocommit_engine(url: URL, defaults: dict[str, Any], config: Config, **merged: Any) -> Engine:
    """Create an engine in autocommit mode; the URL and `DATABASE_OPTIONS` take precedence over `defaults`."""
    options = {"pool_timeout": 5, **config.database_options}
    unset = {name: value for name, value in defaults.items() if name not in url.query}
    options["connect_args"] = {**unset, **options.get("connect_args", {}), **merged}
    return create_engine(url, isolation_level="AUTOCOMMIT", **options)


def _make_sqlite_listener(synchronous: str) -> Callable[[Any, Any], None]:
    """Return a listener that enables WAL and foreign keys, and sets the durability (``PRAGMA synchronous``)."""

    def tune(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return tune


_watched_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_process = os.getpid()
#: One lock for each process id: a lock that the parent held at the fork would never be released in the child.
_locks: dict[int, threading.Lock] = {}
#: Referenced forever: if the pool were collected, Python would close SQLite's connections and the parent would lose its
#: file locks.
_inherited_pools: list[Pool] = []


def watch_forks(engine: Engine) -> None:
    """Register `engine`, so that a forked child process drops its pooled connections without closing them."""
    drop_inherited_connections()
    _watched_engines.add(engine)


def drop_inherited_connections() -> None:
    """Give each registered engine an empty pool, once in each forked process; the parent's connections stay open.

    Called after a fork, and by a storage that finds itself in another process.
    """
    global _process
    process = os.getpid()
    if process == _process:
        return
    with _locks.setdefault(process, threading.Lock()):
        if process == _process:
            return
        for pool, engine in {engine.pool: engine for engine in list(_watched_engines)}.items():
            _inherited_pools.append(pool)
            engine.dispose(close=False)
        _process = process


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=drop_inherited_connections)


def disable_prepared_statements(driver: Any) -> None:
    """Disable prepared statements of a driver's connection.

    Behind a pooler in transaction mode, the next transaction may run in a server session that does not have them.
    """
    if hasattr(driver, "prepare_threshold"):
        driver.prepare_threshold = None
