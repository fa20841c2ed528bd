"""A host on a database of its own that has connected before its server forks, as `db.create_all()` leaves it."""

from __future__ import annotations

import os

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_tenant_provisioning import TenantProvisioning


def create_app() -> Flask:
    """Make the app, with a second mount on the same engine."""
    app = Flask(__name__)
    app.config.from_prefixed_env()
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["HOST_DATABASE_URL"]
    db = SQLAlchemy(app)
    TenantProvisioning().init_app(app, db)
    TenantProvisioning(name="second", url_prefix="/second", table_prefix="second_").init_app(app, db)
    with app.app_context():
        db.create_all()
        with db.engine.connect() as probe, db.engine.connect() as two:
            for connection in (probe, two):
                connection.exec_driver_sql("SELECT 1")

    @app.get("/")
    def home() -> str:
        return str(os.getpid())

    return app


app = create_app() if "HOST_DATABASE_URL" in os.environ else None
