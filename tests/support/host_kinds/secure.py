"""A hook that sends every plain request to https."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, redirect, request
from flask.typing import ResponseReturnValue

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.before_request
    def to_https() -> ResponseReturnValue | None:
        return None if request.is_secure else redirect(request.url.replace("http://", "https://", 1), 301)

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere"), ("GET", "/a/b?c=d")),
    causes=("a wall",),
)
