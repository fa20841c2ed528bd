"""Flask-SQLAlchemy and Flask-Migrate: the host's own models and migrations in the database that the API is given."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_tenant_provisioning.database.migration import exclude_ours
from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


class Base(DeclarativeBase):
    """The host's models."""


class Note(Base):
    """A note that this host keeps."""

    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(String(50))


def build(folder: Path) -> Flask:
    """The app, with a note in it."""
    app = Flask("host")
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/migrated.sqlite3"))
    database = SQLAlchemy(app, model_class=Base)
    Migrate(app, database, directory=str(folder / "migrations"), include_name=exclude_ours())
    with app.app_context():
        Base.metadata.create_all(database.engine)
        database.session.add(Note(text="kept"))
        database.session.commit()
    app.add_url_rule("/", "notes", lambda: ", ".join(database.session.scalars(select(Note.text))))
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("GET", "/nowhere")),
    database=lambda app: app.extensions["sqlalchemy"],
)
