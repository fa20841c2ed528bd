"""API clients, and callers with their access tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask import Flask

from tests.support.callers import Caller
from tests.support.hosts import get_mount

#: What a client may do where a test does not say so.
PERMISSIONS = ["tenant:create", "tenant:read"]


def create_client(partner: Caller, **fields: Any) -> dict[str, Any]:
    """A client that was created just now, with its secret."""
    response = partner("POST", "/clients", json={"name": "CRM", "permissions": PERMISSIONS, **fields})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.get_json()
    return document


def client_path(client: dict[str, Any], action: str = "") -> str:
    """The client's path."""
    return f"/clients/{client['client']}{action}"


def issue_token(app: Flask, client: dict[str, Any], scope: Iterable[str] | None = None, **claims: Any) -> str:
    """An access token of a client, as the token endpoint issues it; `claims` replace some of what it says."""
    tokens = get_mount(app).client_tokens
    assert tokens is not None
    values = {
        "client_id": client["client"],
        "partner": client["partner"],
        "permissions": client["permissions"] if scope is None else scope,
        "generation": client["generation"],
        "issuer": "http://localhost/api/provisioning",
        **claims,
    }
    return tokens.issue(**values).access_token


class ClientCaller(Caller):
    """A caller with an access token of an API client."""

    def __init__(self, app: Flask, client: dict[str, Any], scope: Iterable[str] | None = None, **claims: Any) -> None:
        super().__init__(app, client["partner"])
        self.api_client = client
        self.token = issue_token(app, client, scope, **claims)
