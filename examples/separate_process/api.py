"""The provisioning API in a process and an environment of its own, beside the host, on the host's database.

Every `FLASK_*` environment variable is configuration: the database, the licence, and `FLASK_JWT_SECRET_KEY`, the
key with which the host signs its tokens.
"""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import column, table
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_tenant_provisioning import TenantProvisioning

provisioning = TenantProvisioning()
#: The host's table, with the columns that are written here. The models stay in the host.
workspaces = table("workspaces", column("tenant_id"), column("name"))


@provisioning.hook("tenant.create")
def open_workspace(session: Any, tenant: dict[str, Any]) -> None:
    """Open the workspace in the tenant's own transaction: it exists if and only if the tenant does."""
    session.execute(workspaces.insert().values(tenant_id=tenant["tenant"], name=tenant["client_name"]))


@provisioning.hook("tenant.purge")
def remove_workspace(session: Any, tenant: dict[str, Any]) -> None:
    """Remove the workspace with its tenant."""
    session.execute(workspaces.delete().where(workspaces.c.tenant_id == tenant["tenant"]))


def create_app() -> Flask:
    """Make an app that serves the API and nothing else, behind one proxy: the host."""
    app = Flask(__name__)
    app.config.from_prefixed_env()
    provisioning.init_app(app)
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return app
