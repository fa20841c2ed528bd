"""The world around the API: a vendor who signs licences, host apps, and partners who call."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import JWTManager, create_access_token
from sqlalchemy import make_url as make_url
from werkzeug.test import TestResponse

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.licensing import vendor
from flask_tenant_provisioning.mount import Mount

#: How hosts mount the API where they do not say so: `pytest --mount isolated` runs all tests the other way.
MOUNT_VARIABLE = "PROVISIONING_TEST_MOUNT"
KEYS = vendor.keygen("test")
PREFIX = "/api/provisioning"
EXAMPLE = {
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
}
_numbers = itertools.count(1)


def isolated() -> bool:
    """Whether this run is about the isolated mount."""
    return os.environ.get(MOUNT_VARIABLE) == "isolated"


def signed_license(**claims: Any) -> str:
    """A licence of the test vendor, good for a year from now on unless `claims` say otherwise."""
    return vendor.issue(vendor.private_key(KEYS.private_pem), KEYS.kid, customer="Test Host", **claims)


def configuration(**more: Any) -> dict[str, Any]:
    """What a licensed host configures."""
    return {
        "SECRET_KEY": "a secret of the host, long enough",
        "JWT_SECRET_KEY": "another secret of the host, 32 bytes and more",
        "PROVISIONING_LICENSE": signed_license(not_before=int(time.time()) - 86_400),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {KEYS.kid: KEYS.public},
        "PROVISIONING_AUTO_MIGRATE": True,
        "PROVISIONING_SQLITE_SYNCHRONOUS": "NORMAL",  # no test cuts the power
        "PROVISIONING_ENGINE": "external",
        "PROVISIONING_RATE_LIMITS": {},
        **({"PROVISIONING_MOUNT": "isolated"} if isolated() else {}),
        **more,
    }


def host(database_url: str, mount: dict[str, Any] | None = None, **config: Any) -> Flask:
    """A host app with the API mounted. An isolated mount makes no JWT manager in it, so it has one of its own."""
    app = Flask("host")
    app.config.update(configuration(**config))
    if isolated():
        JWTManager(app)
    TenantProvisioning(**(mount or {})).init_app(app, database_url)
    return app


def signing(app: Flask) -> contextlib.AbstractContextManager[Any]:
    """The context in which Flask-JWT-Extended signs what the first mount of `app` accepts."""
    return mount_of(app, next(iter(app.extensions["tenant_provisioning"]))).authority.signing_context()


def mount_of(app: Flask, name: str = "provisioning") -> Mount:
    """One of the app's mounts."""
    found: Mount = app.extensions["tenant_provisioning"][name]
    return found


def engine_of(app: Flask, name: str = "provisioning") -> Any:
    """The engine below a mount."""
    return mount_of(app, name).storage.engine


class Caller:
    """Somebody with a token who calls the API of `app`."""

    def __init__(self, app: Flask, partner: str | None = None, roles: Any = ("partner-admin",), **claims: Any) -> None:
        self.app = app
        self.partner = partner or f"partner-{next(_numbers)}-{time.time_ns():x}"
        self.client: FlaskClient = app.test_client()
        names = {"roles": list(roles), "partner_id": self.partner, **claims}
        with signing(app):
            self.token = create_access_token(claims.get("sub", "someone"), additional_claims=names)

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.client.open(PREFIX + path, method=method, headers=headers, **options)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Create a tenant with an email of its own and return it."""
        body = {"client_name": "Example Corp", "email": f"u{next(_numbers)}@example.com", **fields}
        answer = self("POST", "/tenants", json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.get_json()
        return made

    def as_(self, *roles: str) -> Caller:
        """The same partner's caller in other roles."""
        return Caller(self.app, self.partner, roles)


def without_claim(app: Flask, role: str, subject: str = "auth0|4711", **claims: Any) -> Caller:
    """A caller whose token has no partner claim."""
    caller = Caller(app)
    with signing(app):
        caller.token = create_access_token(subject, additional_claims={"roles": [role], **claims})
    return caller


def problem(answer: TestResponse, **expected: Any) -> dict[str, Any]:
    """The problem document of `answer`, after checking what every one must have."""
    document: dict[str, Any] = answer.get_json()
    assert answer.content_type == "application/problem+json", answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert document["status"] == answer.status_code
    assert document["request_id"] == answer.headers["X-Request-ID"]
    assert document["type"].endswith(f"/problems/{document['code']}")
    assert {name: document.get(name) for name in expected} == expected
    return document
