"""The existing app: it stays on SQLAlchemy 1.4, and imports nothing of the provisioning API.

Environment: DATABASE_URL, API_PORT.
"""

from __future__ import annotations

import os
from typing import Any

import sqlalchemy
from flask import Flask
from forward import ForwardPrefix
from sqlalchemy import Column, MetaData, String, Table, create_engine, select

workspaces = Table(
    "workspaces",
    MetaData(),
    Column("tenant_id", String(36), primary_key=True),
    Column("name", String(200), nullable=False),
)


def create_app() -> Flask:
    """Make the host: a page that lists its workspaces, and the API's prefix, which another process serves."""
    app = Flask(__name__)
    engine = create_engine(os.environ["DATABASE_URL"])
    workspaces.metadata.create_all(engine)

    @app.get("/")
    def list_workspaces() -> dict[str, Any]:
        with engine.connect() as connection:
            names = [row.name for row in connection.execute(select(workspaces).order_by(workspaces.c.name))]
        return {"sqlalchemy": sqlalchemy.__version__, "workspaces": names}

    forward_prefix: Any = ForwardPrefix(app.wsgi_app, "/api/provisioning", "127.0.0.1", int(os.environ["API_PORT"]))
    app.wsgi_app = forward_prefix  # type: ignore[method-assign]
    return app
