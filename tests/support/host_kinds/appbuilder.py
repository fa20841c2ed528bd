"""Flask-AppBuilder behind a CSRFProtect: its users, roles and views, and a JWT manager that knows these users alone."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_appbuilder import AppBuilder
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect

from tests.support.host_kinds.kinds import Kind, is_flask_before
from tests.support.hosts import make_config


def build(folder: Path) -> Flask:
    """The app, with an administrator."""
    app = Flask("host")
    app.config.update(make_config(SQLALCHEMY_DATABASE_URI=f"sqlite:///{folder}/appbuilder.sqlite3"))
    database = SQLAlchemy(app)
    CSRFProtect(app)
    with app.app_context():
        users = AppBuilder(app, database.session).sm
        users.add_user("admin", "Ada", "Host", "ada@example.com", users.find_role("Admin"), password="secret")
    return app


KIND = Kind(
    build,
    pages=(
        ("GET", "/"),
        ("GET", "/login/"),
        ("POST", "/login/"),
        ("GET", "/users/list/"),
        ("GET", "/roles/list/"),
        ("POST", "/api/v1/security/login"),
        ("GET", "/api/v1/security/login"),
        ("GET", "/nowhere"),
        ("GET", "/static/appbuilder/css/ab.css"),
    ),
    causes=("a user lookup that knows no partner", "a session"),
    unseen=("a session",) if is_flask_before(3, 1, 3) else (),
)
