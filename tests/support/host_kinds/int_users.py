"""A JWT manager whose user lookup knows users by their number, as most tutorials write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask
from flask_jwt_extended import JWTManager, current_user, jwt_required

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config

USERS = {1: "Ada"}


def build(_folder: Path) -> Flask:
    """The app."""
    app = Flask("host")
    app.config.update(make_config())
    manager = JWTManager(app)

    @manager.user_lookup_loader
    def look_up(_header: dict[str, Any], claims: dict[str, Any]) -> str | None:
        return USERS.get(int(claims["sub"]))

    app.add_url_rule("/me", "me", jwt_required()(lambda: str(current_user)))
    app.add_url_rule("/", "home", lambda: "welcome")
    return app


KIND = Kind(
    build,
    pages=(("GET", "/"), ("GET", "/me"), ("GET", "/nowhere")),
    causes=("a user lookup that knows no partner",),
)
