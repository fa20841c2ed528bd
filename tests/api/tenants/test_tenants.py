"""The tenants' life over HTTP."""

from __future__ import annotations

import re

import pytest

from tests.support.callers import EXAMPLE, Caller


def test_a_tenant_is_created_and_can_be_read(partner: Caller) -> None:
    response = partner("POST", "/tenants", json=EXAMPLE)
    document = response.get_json()
    assert response.status_code == 201, response.text
    assert document == {
        **EXAMPLE,
        "tenant": document["tenant"],
        "partner": partner.partner,
        "external_id": None,
        "plan": None,
        "metadata": {},
        "status": "active",
        "suspended_reason": None,
        "version": 1,
        "created_at": document["created_at"],
        "updated_at": document["created_at"],
        "deleted_at": None,
        "purge_at": None,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["created_at"])
    assert response.headers["Location"] == f"/api/provisioning/tenants/{document['tenant']}"
    assert response.headers["ETag"] == '"1"'
    assert response.headers["Cache-Control"] == "no-store"
    read = partner("GET", f"/tenants/{document['tenant']}")
    assert (read.status_code, read.get_json()) == (200, document)


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_USER_AGENT": "x" * 10_000, "REMOTE_ADDR": "fe80::1%" + "z" * 200},
        {"HTTP_USER_AGENT": "nul\0byte", "REMOTE_ADDR": "\0"},
        {"HTTP_USER_AGENT": "caf\xe9 \x7f", "REMOTE_ADDR": ""},
    ],
)
def test_odd_user_agent_fails_no_write(partner: Caller, headers: dict[str, str]) -> None:
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    assert partner("POST", "/tenants", json=body, environ_overrides=headers).status_code == 201
