"""Which database a mount uses: the host's own, one named by a URL, or a SQLite file in the instance folder."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from ..config import ConfigurationError, Settings
from .demands import DRIVERS, IN_MEMORY, is_in_memory, isolation_of, require_suitable
from .errors import Meaning, meaning
from .forks import guard

logger = logging.getLogger(__name__)

EMBEDDED_FILE = "provisioning.sqlite3"


def resolve(app: Flask, db: Any, settings: Settings) -> tuple[Engine, bool]:
    """Return the engine for `db`, and whether it is ours to tune. A forked process gets connections of its own.

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None. Raises `ConfigurationError`.
    """
    _warn_of_another_database(app, db, settings)
    engine, ours = _resolve(app, db, settings)
    guard(require_suitable(engine))
    return engine, ours


def _resolve(app: Flask, db: Any, settings: Settings) -> tuple[Engine, bool]:
    if isinstance(db, Engine):
        return db, False
    if hasattr(type(db), "init_app") and hasattr(type(db), "engine"):
        return _of_extension(app, db), False
    if db is None or isinstance(db, str | URL):
        return _own(app, db if db is not None else settings.database_url, settings), True
    given = f"the class {db.__name__}" if isinstance(db, type) else type(db).__name__
    if hasattr(db, "sync_engine"):
        given += ": make an Engine with a synchronous driver beside it"
    raise ConfigurationError(f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not {given}.")


def _warn_of_another_database(app: Flask, db: Any, settings: Settings) -> None:
    """Log where the tables are kept in another database than the configuration makes one think."""
    if is_overlooked(app, db, settings):
        logger.warning(
            "the API keeps its tables in a SQLite file of its own, and not in the database of the app's "
            "Flask-SQLAlchemy: call provisioning.init_app(app, db), or set PROVISIONING_DATABASE_URL",
            extra={"file": os.path.join(app.instance_path, EMBEDDED_FILE)},
        )
    elif db is not None and settings.database_url is not None and db != settings.database_url:
        logger.warning(
            "PROVISIONING_DATABASE_URL has no effect: init_app was given a database", extra={"given": type(db).__name__}
        )


def is_overlooked(app: Flask, db: Any, settings: Settings) -> bool:
    """Return whether the app has a database by Flask-SQLAlchemy, and the API is told of none."""
    return db is None and settings.database_url is None and "sqlalchemy" in app.extensions


class Connections:
    """Opens connections of `engine` at an isolation `level`; at the engine's own where that is None."""

    def __init__(self, engine: Engine, level: str | None) -> None:
        # A copy costs less than to set the level each time, but an engine's own option overrides a copy's.
        overridden = level is not None and "isolation_level" in engine.get_execution_options()
        self._level = level if overridden else None
        self._engine = engine if level is None or overridden else engine.execution_options(isolation_level=level)

    def connect(self) -> Connection:
        """Open one, or take it from the pool."""
        connection = self._engine.connect()
        return connection if self._level is None else connection.execution_options(isolation_level=self._level)


def connections_for_reads(engine: Engine) -> Connections:
    """Return what opens connections whose statements commit by themselves."""
    is_plain = engine.dialect.name == "sqlite" or isolation_of(engine) == "AUTOCOMMIT"
    return Connections(engine, None if is_plain else "AUTOCOMMIT")


def connections_for_writes(engine: Engine) -> Connections:
    """Return what opens connections whose transactions are undone as a whole.

    A level that the host chose counts, but AUTOCOMMIT. On SQLite, units of work begin by themselves.
    """
    if isolation_of(engine) != "AUTOCOMMIT":
        return Connections(engine, None)
    if engine.dialect.name == "sqlite":
        rolls_back = not getattr(engine.dialect, "skip_autocommit_rollback", False)
        return Connections(engine, None if rolls_back else "SERIALIZABLE")
    return Connections(engine, "READ COMMITTED")


def _of_extension(app: Flask, db: Any) -> Engine:
    try:
        with app.app_context():
            engine: Engine = db.engine
            return engine
    except (RuntimeError, KeyError) as error:
        raise ConfigurationError(
            "Call db.init_app(app) before provisioning.init_app(app, db), with SQLALCHEMY_DATABASE_URI set."
        ) from error


def _own(app: Flask, url: str | URL | None, settings: Settings) -> Engine:
    """An engine of our own. What the database's driver or SQLAlchemy holds against it becomes `ConfigurationError`."""
    try:
        wanted = make_url(_embedded(app) if url is None else url)
        return _sqlite(wanted, settings) if wanted.get_backend_name() == "sqlite" else _server(wanted, settings)
    except ModuleNotFoundError as error:
        install = "pip install 'flask-tenant-provisioning[postgresql]'"
        advice = install if error.name == "psycopg" else f"use {' or '.join(DRIVERS)}"
        raise ConfigurationError(f"The database's driver is missing ({error.name}): {advice}.") from error
    except ArgumentError as error:
        raise ConfigurationError("The database must be a URL such as postgresql://host/name.") from error
    except TypeError as error:
        raise ConfigurationError(f"PROVISIONING_DATABASE_OPTIONS does not suit create_engine: {error}") from error


def _embedded(app: Flask) -> str:
    os.makedirs(app.instance_path, exist_ok=True)
    return f"sqlite:///{os.path.join(app.instance_path, EMBEDDED_FILE)}"


def _server(url: URL, settings: Settings) -> Engine:
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    defaults: dict[str, Any] = {"connect_timeout": 5, "client_encoding": "utf8", **_SILENCE}
    if settings.database_pooler == "transaction":
        if url.get_driver_name() == "psycopg":
            defaults["prepare_threshold"] = None
        return _autocommitting(url, defaults, settings)
    engine = _autocommitting(url, defaults, settings, **_statement_timeout(url, settings))
    if not _startup_options(url, settings):
        event.listen(engine, "do_connect", _connect_without_refused_options)
    return engine


def _connect_without_refused_options(dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
    """Connect; where a pooler refuses the statement timeout, connect without it, now and from then on."""
    try:
        return dialect.connect(*arguments, **options)
    except dialect.loaded_dbapi.Error as error:
        if meaning(error) is not Meaning.STARTUP_REFUSED or options.pop("options", None) is None:
            raise
        logger.warning(
            "PROVISIONING_STATEMENT_TIMEOUT_SECONDS has no effect, since a pooler refuses it: set the timeout on the "
            "role (ALTER ROLE … SET statement_timeout = '10s'), and PROVISIONING_DATABASE_POOLER to 'transaction' or "
            "'session'",
            extra={"reason": "startup_refused"},
        )
        return dialect.connect(*arguments, **options)


#: libpq gives up on a server that is gone without a word within 15 seconds; Linux by itself takes a quarter of an
#: hour when it sends and two hours when it waits.
_SILENCE = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 5}


def _startup_options(url: URL, settings: Settings) -> str:
    """Return what the operator wants in the startup options."""
    given = settings.database_options.get("connect_args", {}).get("options") or url.query.get("options", "")
    return str(given)


def _statement_timeout(url: URL, settings: Settings) -> dict[str, str]:
    """The startup options with which the server ends what takes too long; what the operator sets in them wins."""
    seconds = settings.statement_timeout_seconds
    return {"options": f"-cstatement_timeout={seconds}s {_startup_options(url, settings)}"} if seconds else {}


def _sqlite(url: URL, settings: Settings) -> Engine:
    if is_in_memory(url):
        raise ConfigurationError(IN_MEMORY)
    engine = _autocommitting(url, {"timeout": 5, "check_same_thread": False}, settings)
    event.listen(engine, "connect", _tuned(settings.sqlite_synchronous))
    return engine


def _autocommitting(url: URL, defaults: dict[str, Any], settings: Settings, **merged: Any) -> Engine:
    """An engine whose statements commit by themselves; the host's URL and `DATABASE_OPTIONS` win over `defaults`."""
    options = {"pool_timeout": 5, **settings.database_options}
    ours = {name: value for name, value in defaults.items() if name not in url.query}
    options["connect_args"] = {**ours, **options.get("connect_args", {}), **merged}
    return create_engine(url, isolation_level="AUTOCOMMIT", **options)


def _tuned(synchronous: str) -> Callable[[Any, Any], None]:
    """Readers beside the writer (WAL), and commits as durable as configured."""

    def tune(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return tune
