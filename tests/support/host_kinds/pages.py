"""An HTML page for every error, with the exception's own words in it."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, abort
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.errorhandler(Exception)
    def page(error: Exception) -> ResponseReturnValue:
        return f"<h1>Oh no: {error}</h1>", error.code or 500 if isinstance(error, HTTPException) else 500

    for status in (400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422, 500, 503):
        app.register_error_handler(status, page)

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("of the host's own")

    app.add_url_rule("/", "home", lambda: "welcome")
    app.add_url_rule("/stop/<int:status>", "stop", lambda status: abort(status))
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere"), ("GET", "/broken"), ("GET", "/stop/409")),
)
