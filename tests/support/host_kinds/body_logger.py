"""Hooks that look at every request's body and every answer's, as loggers and profilers do."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config


def build(_folder: Path) -> Flask:
    """The app, with what it saw in `app.extensions["seen"]`."""
    app = Flask("host")
    app.config.update(make_config())
    seen: list[tuple[int, int]] = app.extensions.setdefault("seen", [])

    @app.after_request
    def log_bodies(response: Response) -> Response:
        sent = request.get_data(cache=True)
        answered = b"" if response.is_streamed or response.direct_passthrough else response.get_data()
        seen.append((len(sent), len(answered)))
        return response

    @app.post("/")
    def echo() -> ResponseReturnValue:
        return request.get_data()

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
