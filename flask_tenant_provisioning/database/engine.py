"""Which database a mount uses: the host's own, one named by a URL, or a SQLite file in the instance folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

from ..config import ConfigurationError, Settings

EMBEDDED_FILE = "provisioning.sqlite3"


def resolve(app: Flask, db: Any, settings: Settings) -> tuple[Engine, bool]:
    """The engine for `db`, and whether it is ours to tune.

    `db` is a Flask-SQLAlchemy object, an `Engine`, a URL, or None. Raises `ConfigurationError`.
    """
    if isinstance(db, Engine):
        return db, False
    if hasattr(db, "init_app"):
        return _of_extension(app, db), False
    if db is None or isinstance(db, str | URL):
        return _own(make_url(db or settings.database_url or _embedded(app)), settings), True
    raise ConfigurationError(
        f"db must be a Flask-SQLAlchemy object, an Engine, a URL or None, not {type(db).__name__}."
    )


def _of_extension(app: Flask, db: Any) -> Engine:
    try:
        with app.app_context():
            engine: Engine = db.engine
            return engine
    except (RuntimeError, KeyError) as error:
        raise ConfigurationError("Call db.init_app(app) before provisioning.init_app(app, db).") from error


def _embedded(app: Flask) -> str:
    os.makedirs(app.instance_path, exist_ok=True)
    return f"sqlite:///{os.path.join(app.instance_path, EMBEDDED_FILE)}"


def _own(url: URL, settings: Settings) -> Engine:
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, settings)
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    options = {"pool_timeout": 5, "connect_args": {"connect_timeout": 5}} if backend == "postgresql" else {}
    return create_engine(url, isolation_level="AUTOCOMMIT", **{**options, **settings.database_options})


def _sqlite(url: URL, settings: Settings) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError("A SQLite database in memory belongs to one connection: name a file instead.")
    options: dict[str, Any] = {"connect_args": {"timeout": 10, "check_same_thread": False}, "pool_timeout": 10}
    engine = create_engine(url, isolation_level="AUTOCOMMIT", **{**options, **settings.database_options})
    event.listen(engine, "connect", _tuned(settings.sqlite_synchronous))
    return engine


def _tuned(synchronous: str) -> Callable[[Any, Any], None]:
    """Readers beside the writer (WAL), and commits as durable as configured."""

    def tune(connection: Any, _record: Any) -> None:
        for pragma in ("journal_mode=WAL", f"synchronous={synchronous}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return tune
