"""Prove that the installed package is complete: mount it, and provision a tenant. No test; `.ci/run` runs it.

Run from an empty folder, with an environment that holds the wheel and its hard dependencies alone.
"""

from __future__ import annotations

import datetime
from importlib.metadata import entry_points
from pathlib import Path

import flask_jwt_extended
from flask import Flask

import flask_tenant_provisioning
from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.licensing import vendor


def main() -> None:
    """Raise AssertionError where something is missing."""
    root = Path(flask_tenant_provisioning.__file__).parent
    assert "site-packages" in root.parts, f"not installed, but read from {root}"
    assert (root / "py.typed").exists()
    assert "provisioning" in entry_points(group="flask.commands").names
    assert "provisioning" in entry_points(group="pytest11").names
    assert any((root / "testing/suite").glob("test_*.py"))
    app = licensed_app()
    claims = {"roles": ["partner-admin"], "partner_id": "acme"}
    with app.app_context():
        token = flask_jwt_extended.create_access_token(
            "check", additional_claims=claims, expires_delta=datetime.timedelta(minutes=5)
        )
    client = app.test_client()
    created = client.post(
        "/api/provisioning/tenants",
        json={"client_name": "Example Corp", "email": "admin@example.com"},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert created.status_code == 201, created.text
    for page in ("openapi.json", "docs", "problems/validation-error"):
        shown = client.get(f"/api/provisioning/{page}", follow_redirects=True)
        assert shown.status_code == 200, f"{page}: {shown.text}"
    print(f"{root.name} is installed, mounted, and has provisioned tenant {created.headers['Location']}")


def licensed_app() -> Flask:
    """Make the least of a host: SQLite in the instance folder, a key, and a licence of its own."""
    pair = vendor.keygen("check")
    app = Flask("installed", instance_path=str(Path("instance").absolute()))
    app.config.update(
        JWT_SECRET_KEY="for this check alone, and long enough for HS256",
        PROVISIONING_LICENSE=vendor.issue(vendor.private_key(pair.private_pem), pair.kid, customer="Check"),
        PROVISIONING_LICENSE_PUBLIC_KEYS={pair.kid: pair.public},
    )
    TenantProvisioning().init_app(app)
    return app


if __name__ == "__main__":
    main()
