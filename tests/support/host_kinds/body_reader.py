"""Hooks that read every request's body before any view does: a log, a signature, a form."""

from __future__ import annotations

import hashlib
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
    def sign() -> None:
        g.digest = hashlib.sha256(request.get_data()).hexdigest()

    @app.before_request
    def look() -> None:
        g.form = request.form.to_dict()

    @app.post("/")
    def echo() -> ResponseReturnValue:
        return f"{g.digest} {g.form}"

    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(build, pages=(("GET", "/"), ("POST", "/"), ("GET", "/nowhere")))
