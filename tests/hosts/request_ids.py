"""A hook that shows each caller the id under which the host knows its request."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, request

from tests.hosts.kinds import Kind
from tests.world import configuration


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(configuration())

    @app.after_request
    def number(response: Response) -> Response:
        response.headers["X-Host-Request"] = request.headers.get("X-Correlation-ID", "none")
        return response

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
