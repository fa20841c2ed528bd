"""The tenants' life over HTTP."""

from __future__ import annotations

import re

import pytest

from tests.world import EXAMPLE, Caller


def test_a_tenant_is_created_and_can_be_read(partner: Caller) -> None:
    answer = partner("POST", "/tenants", json=EXAMPLE)
    made = answer.get_json()
    assert answer.status_code == 201, answer.text
    assert made == {
        **EXAMPLE,
        "tenant": made["tenant"],
        "partner": partner.partner,
        "external_id": None,
        "plan": None,
        "metadata": {},
        "status": "active",
        "suspended_reason": None,
        "version": 1,
        "created_at": made["created_at"],
        "updated_at": made["created_at"],
        "deleted_at": None,
        "purge_at": None,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])
    assert answer.headers["Location"] == f"/api/provisioning/tenants/{made['tenant']}"
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Cache-Control"] == "no-store"
    read = partner("GET", f"/tenants/{made['tenant']}")
    assert (read.status_code, read.get_json()) == (200, made)


@pytest.mark.parametrize(
    "said",
    [
        {"HTTP_USER_AGENT": "x" * 10_000, "REMOTE_ADDR": "fe80::1%" + "z" * 200},
        {"HTTP_USER_AGENT": "nul\0byte", "REMOTE_ADDR": "\0"},
        {"HTTP_USER_AGENT": "caf\xe9 \x7f", "REMOTE_ADDR": ""},
    ],
)
def test_what_a_client_says_of_itself_fails_no_write(partner: Caller, said: dict[str, str]) -> None:
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    assert partner("POST", "/tenants", json=body, environ_overrides=said).status_code == 201
