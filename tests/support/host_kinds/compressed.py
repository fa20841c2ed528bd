"""Flask-Compress: compresses responses on request and gives each an ETag of its own."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_compress import Compress

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())
    Compress(app)
    app.add_url_rule("/", "home", lambda: "welcome " * 500)
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("GET", "/nowhere")),
    causes=("compression",),
)
