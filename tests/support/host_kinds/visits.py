"""A hook that counts a browser's visits in the session, after each answer."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, session

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())

    @app.after_request
    def count(response: Response) -> Response:
        session["visits"] = session.get("visits", 0) + 1
        return response

    app.add_url_rule("/", "home", lambda: f"visit {session.get('visits', 0)}")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("GET", "/"), ("GET", "/nowhere")),
    causes=("a session",),
)
