"""`Idempotency-Key`: a request that is repeated takes effect once, and is answered the same."""

from __future__ import annotations

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import ApiResponse

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}
USABLE = ("k", "x" * 255, "with space", "~!#$%&'()*+-./:;<=>?@[\\]^_`{|}", '"quoted, with a comma"')
USELESS = ("", "x" * 256, "é", "one, two", '"')


def require_replayed(response: ApiResponse, first: ApiResponse) -> None:
    """Demand the first request's response."""
    response.require(response.headers.get("Idempotency-Replayed") == "true", "answer with Idempotency-Replayed: true")
    kept = ("ETag", "Location", "Content-Type")
    same = response.status == first.status and response.body == first.body
    response.require(
        same and all(response.headers.get(name) == first.headers.get(name) for name in kept), "repeat its answer"
    )


def test_a_creation_that_is_repeated_creates_once(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    first = provisioning_partner("POST", TENANTS, json=body, headers=KEY)
    tenant = provisioning_partner.wait_until_active(first.tenant(201))
    first.require("Idempotency-Replayed" not in first.headers, "replay nothing")
    for _ in range(2):
        require_replayed(provisioning_partner("POST", TENANTS, json=body, headers=KEY), first)
    first.require(provisioning_partner.list_tenants() == [tenant], "create one tenant")


def test_the_order_of_the_fields_tells_no_request_from_another(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    first = provisioning_partner("POST", TENANTS, json=body, headers=KEY)
    first.tenant(201)
    turned = dict(reversed(body.items()))
    require_replayed(provisioning_partner("POST", TENANTS, json=turned, headers=KEY), first)


def test_a_change_that_is_repeated_changes_once(provisioning_partner: Caller) -> None:
    tenant, patch = provisioning_partner.create(), {"client_name": provisioning_partner.body()["client_name"]}
    first = provisioning_partner.write("PATCH", tenant, json=patch, headers=KEY)
    changed = first.tenant()
    require_replayed(provisioning_partner.write("PATCH", tenant, json=patch, headers=KEY), first)
    first.require(provisioning_partner.read(tenant) == changed, "change the tenant once")


def test_repeated_state_change_replays_the_first_response(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    first = provisioning_partner.write("POST", tenant, "/suspend", headers=KEY)
    suspended = first.tenant()
    provisioning_partner.write("POST", suspended, "/reactivate").tenant()
    require_replayed(provisioning_partner.write("POST", tenant, "/suspend", headers=KEY), first)
    first.require(provisioning_partner.read(tenant)["status"] == "active", "change the state once")


def test_a_key_is_for_one_request(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    provisioning_partner("POST", TENANTS, json=provisioning_partner.body(), headers=KEY).tenant(201)
    others = (
        provisioning_partner("POST", TENANTS, json=provisioning_partner.body(), headers=KEY),
        provisioning_partner.write("PATCH", tenant, json={"client_name": "x"}, headers=KEY),
        provisioning_partner.write("POST", tenant, "/suspend", headers=KEY),
    )
    for response in others:
        response.problem(422, "idempotency-key-reused")
    others[0].require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_a_key_is_the_partners_own(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    body = provisioning_partner.body()
    mine = provisioning_partner("POST", TENANTS, json=body, headers=KEY).tenant(201)
    response = provisioning_stranger("POST", TENANTS, json=provisioning_stranger.body(), headers=KEY)
    response.require(response.tenant(201)["tenant"] != mine["tenant"], "know nothing of another partner's keys")


def test_a_conflict_is_repeated_too(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    body = provisioning_partner.body(email=tenant["email"])
    first = provisioning_partner("POST", TENANTS, json=body, headers=KEY)
    first.problem(409, "tenant-exists")
    provisioning_partner.write("DELETE", tenant).expect(200)
    require_replayed(provisioning_partner("POST", TENANTS, json=body, headers=KEY), first)


def test_an_invalid_request_uses_no_key_up(provisioning_partner: Caller) -> None:
    provisioning_partner("POST", TENANTS, json=provisioning_partner.body(email="admin@"), headers=KEY).faults()
    provisioning_partner("POST", TENANTS, body=b"{", headers=KEY).problem(400, "malformed-json")
    provisioning_partner("POST", TENANTS, json=provisioning_partner.body(), headers=KEY).tenant(201)


def test_permission_comes_before_a_replay(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    provisioning_partner("POST", TENANTS, json=body, headers=KEY).tenant(201)
    anonymous = provisioning_partner.make_role_header(None)
    response = provisioning_partner.api("POST", TENANTS, json=body, headers={**KEY, **anonymous})
    response.problem(403, "insufficient-permission")


@pytest.mark.parametrize("key", USABLE, ids=lambda key: key[:30])
def test_a_key_is_any_printable_text(provisioning_partner: Caller, key: str) -> None:
    body, headers = provisioning_partner.body(), {"Idempotency-Key": key}
    first = provisioning_partner("POST", TENANTS, json=body, headers=headers)
    first.tenant(201)
    require_replayed(provisioning_partner("POST", TENANTS, json=body, headers=headers), first)


def test_a_quoted_key_is_the_bare_one(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    first = provisioning_partner("POST", TENANTS, json=body, headers={"Idempotency-Key": "key"})
    first.tenant(201)
    require_replayed(provisioning_partner("POST", TENANTS, json=body, headers={"Idempotency-Key": '"key"'}), first)


@pytest.mark.parametrize("key", USELESS, ids=lambda key: key[:30])
def test_invalid_idempotency_key_is_refused(provisioning_partner: Caller, key: str) -> None:
    headers = {"Idempotency-Key": key}
    response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(), headers=headers)
    response.problem(400, "invalid-idempotency-key")
    response.require(provisioning_partner.list_tenants() == [], "create nothing")


def test_replay_returns_the_tenant_of_the_first_response(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    first = provisioning_partner("POST", TENANTS, json=body, headers=KEY)
    tenant = provisioning_partner.wait_until_active(first.tenant(201))
    provisioning_partner.write("DELETE", tenant).expect(200)
    require_replayed(provisioning_partner("POST", TENANTS, json=body, headers=KEY), first)
    again = provisioning_partner("GET", get_tenant_path(tenant))
    again.require(again.status == 404 or again.tenant()["status"] == "deleted", "not bring the tenant back")
