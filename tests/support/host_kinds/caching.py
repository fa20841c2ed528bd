"""A hook that lets every answer be kept, as sites behind a CDN do."""

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
    def keep(response: Response) -> Response:
        response.headers["Cache-Control"] = "public, max-age=60"
        return response

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")),
    causes=("a hook that lets answers be kept",),
)
