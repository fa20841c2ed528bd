"""Flask-Login, and a wall that redirects requests without a login to /login."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


class User(UserMixin):  # type: ignore[misc]
    """A user who may log in."""

    def __init__(self, name: str) -> None:
        self.id = name


def build(_folder: Path) -> Flask:
    """The app: everything is behind the wall but /login."""
    app = Flask("host")
    app.config.update(make_config())
    CSRFProtect(app)
    logins = LoginManager(app)
    logins.user_loader(User)

    @app.before_request
    def wall() -> ResponseReturnValue | None:
        return None if current_user.is_authenticated or request.endpoint == "login" else redirect("/login")

    @app.route("/login", methods=["GET", "POST"])
    def login() -> ResponseReturnValue:
        if name := request.args.get("name"):
            login_user(User(name), remember=True)
        return f"<form>{generate_csrf()}</form>"

    app.add_url_rule("/", "home", lambda: f"welcome, {current_user.id}")
    return app


KIND = Kind(
    build,
    pages=(
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("GET", "/login"),
        ("POST", "/login"),
        ("GET", "/login?name=ada"),
        ("GET", "/"),
        ("GET", "/nowhere"),
    ),
    causes=("a wall", "a session"),
)
