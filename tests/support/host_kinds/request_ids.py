"""Hooks that show each caller the id under which the host knows its request."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, g, request

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.before_request
    def remember() -> None:
        g.correlation = request.headers.get("X-Correlation-ID", "none")

    @app.after_request
    def show(response: Response) -> Response:
        response.headers["X-Correlation-ID"] = g.correlation
        return response

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
