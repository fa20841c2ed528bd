"""A hook that takes every body out of the WSGI environment, where nothing behind it finds it any more."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, g, request
from flask.typing import ResponseReturnValue

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.before_request
    def eat() -> None:
        g.body = request.environ["wsgi.input"].read(request.content_length or 0)

    @app.post("/")
    def echo() -> ResponseReturnValue:
        return bytes(g.body)

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")),
    causes=("a hook that takes bodies",),
)
