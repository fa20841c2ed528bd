"""Callers of the API, each with a token of its own, and the paths that they call."""

from __future__ import annotations

import itertools
import time
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token
from sqlalchemy import make_url as make_url
from werkzeug.test import TestResponse

from tests.support.hosts import PREFIX, signing_context

EXAMPLE = {
    "client_name": "Example Corp",
    "email": "admin@example.com",
    "phone_number": "+1234567890",
    "industry": "Technology",
}
_numbers = itertools.count(1)


def tenant_path(tenant: dict[str, Any]) -> str:
    """The tenant's path."""
    return f"/tenants/{tenant['tenant']}"


class Caller:
    """A caller of the API of `app`, with a token."""

    def __init__(self, app: Flask, partner: str | None = None, roles: Any = ("partner-admin",), **claims: Any) -> None:
        self.app = app
        self.partner = partner or f"partner-{next(_numbers)}-{time.time_ns():x}"
        self.client: FlaskClient = app.test_client()
        names = {"roles": list(roles), "partner_id": self.partner, **claims}
        with signing_context(app):
            self.token = create_access_token(claims.get("sub", "someone"), additional_claims=names)

    def __call__(self, method: str, path: str, **options: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.client.open(PREFIX + path, method=method, headers=headers, **options)

    def create(self, **fields: Any) -> dict[str, Any]:
        """Create a tenant with an email of its own and return it."""
        body = {"client_name": "Example Corp", "email": f"u{next(_numbers)}@example.com", **fields}
        response = self("POST", "/tenants", json=body)
        assert response.status_code == 201, response.text
        document: dict[str, Any] = response.get_json()
        return document

    def with_roles(self, *roles: str) -> Caller:
        """The same partner's caller in other roles."""
        return Caller(self.app, self.partner, roles)


def make_caller_without_partner(app: Flask, role: str, subject: str = "auth0|4711", **claims: Any) -> Caller:
    """A caller whose token has no partner claim."""
    caller = Caller(app)
    with signing_context(app):
        caller.token = create_access_token(subject, additional_claims={"roles": [role], **claims})
    return caller
