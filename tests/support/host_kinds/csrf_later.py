"""A CSRFProtect that comes once the API is mounted, so that the extension could not exempt its blueprint."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask.typing import ResponseReturnValue
from flask_wtf import CSRFProtect

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.post("/")
    def write() -> ResponseReturnValue:
        return "written"

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


def protect(app: Flask) -> None:
    """Put the wall up."""
    CSRFProtect(app)


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")),
    wrap=protect,
    causes=("a CSRF wall",),
)
