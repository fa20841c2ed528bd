"""Which database a mount uses: the host's own, one named by a URL, or a SQLite file in the instance folder."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from ..config import ConfigurationError, Settings

EMBEDDED_FILE = "provisioning.sqlite3"
SUPPORTED = ("postgresql", "sqlite")


def resolve(app: Flask, db: Any, settings: Settings) -> tuple[Engine, bool]:
    """The engine for `db`, and whether it is ours to tune.

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None. Raises `ConfigurationError`.
    """
    if isinstance(db, Engine):
        return _supported(db), False
    if hasattr(type(db), "init_app") and hasattr(type(db), "engine"):
        return _supported(_of_extension(app, db)), False
    if db is None or isinstance(db, str | URL):
        return _own(app, db if db is not None else settings.database_url, settings), True
    given = f"the class {db.__name__}" if isinstance(db, type) else type(db).__name__
    raise ConfigurationError(f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not {given}.")


def _supported(engine: Engine) -> Engine:
    if engine.dialect.name not in SUPPORTED:
        raise ConfigurationError(f"{engine.dialect.name} is not supported: use {' or '.join(SUPPORTED)}.")
    return engine


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
        return _supported(
            _sqlite(wanted, settings) if wanted.get_backend_name() == "sqlite" else _server(wanted, settings)
        )
    except ModuleNotFoundError as error:
        install = "pip install 'flask-tenant-provisioning[postgresql]'"
        advice = install if error.name == "psycopg" else f"use {' or '.join(SUPPORTED)}"
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
    return _autocommitting(url, {"connect_timeout": 5, **_SILENCE}, settings, **_statement_timeout(url, settings))


#: libpq gives up on a server that is gone without a word within 15 seconds; Linux by itself takes a quarter of an
#: hour when it sends and two hours when it waits.
_SILENCE = {"tcp_user_timeout": 10_000, "keepalives_idle": 5, "keepalives_interval": 5}


def _statement_timeout(url: URL, settings: Settings) -> dict[str, str]:
    """The startup options with which the server ends what takes too long; what the operator sets in them wins."""
    given = settings.database_options.get("connect_args", {}).get("options") or url.query.get("options", "")
    seconds = settings.statement_timeout_seconds
    return {"options": f"-cstatement_timeout={seconds}s {given}"} if seconds else {}


def _sqlite(url: URL, settings: Settings) -> Engine:
    if not url.database or ":memory:" in url.database or url.query.get("mode") == "memory":
        raise ConfigurationError("A SQLite database in memory belongs to one connection: name a file instead.")
    engine = _autocommitting(url, {"timeout": 5, "check_same_thread": False}, settings)
    event.listen(engine, "connect", _tuned(settings.sqlite_synchronous))
    return engine


def _autocommitting(url: URL, defaults: dict[str, Any], settings: Settings, **merged: Any) -> Engine:
    """An engine whose statements commit by themselves; the host's `DATABASE_OPTIONS` win over `defaults`."""
    options = {"pool_timeout": 5, **settings.database_options}
    options["connect_args"] = {**defaults, **options.get("connect_args", {}), **merged}
    engine = create_engine(url, isolation_level="AUTOCOMMIT", **options)
    _ours.add(engine)
    return engine


_ours: weakref.WeakSet[Engine] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """A child process opens connections of its own: two talking on one would read each other's answers."""
    for engine in list(_ours):
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def _tuned(synchronous: str) -> Callable[[Any, Any], None]:
    """Readers beside the writer (WAL), and commits as durable as configured."""

    def tune(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return tune
