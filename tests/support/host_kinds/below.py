"""Mounted below a path of another application: a DispatcherMiddleware strips /shop, and names it as the SCRIPT_NAME."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, redirect, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config

ROOT = "/shop"


def build(_folder: Path) -> Flask:
    """The app, as it would be served at the root of a server."""
    app = Flask("host")
    app.config.update(make_config())
    app.add_url_rule("/", "home", lambda: f"welcome to {url_for('home')}")

    @app.get("/away")
    def away() -> ResponseReturnValue:
        return redirect(url_for("home", after=request.script_root))

    return app


def put_below(app: Flask) -> None:
    """Let the app answer below `ROOT` alone."""
    app.wsgi_app = DispatcherMiddleware(NotFound(), {ROOT: app.wsgi_app})  # type: ignore[method-assign]


KIND = Kind(
    build,
    pages=(("GET", "/"), ("GET", "/away"), ("GET", "/nowhere")),
    wrap=put_below,
    root=ROOT,
)
