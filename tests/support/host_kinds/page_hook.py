"""A hook that puts an HTML page in the place of every error, after whatever answered it."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.after_request
    def decorate(response: Response) -> Response:
        if response.status_code >= 400:
            response.set_data(f"<h1>Oh no: {response.status}</h1>")
            response.content_type = "text/html"
        return response

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")),
    causes=("a hook that replaces problems",),
)
