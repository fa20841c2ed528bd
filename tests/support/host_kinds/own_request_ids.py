"""Hooks that give each request an id of the host's own in `g`, where the API takes it, and show it in X-Request-ID."""

from __future__ import annotations

import uuid
from pathlib import Path

from flask import Flask, Response, g

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.before_request
    def number() -> None:
        g.request_id = uuid.uuid4().hex

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["X-Request-ID"] = g.request_id
        return response

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
