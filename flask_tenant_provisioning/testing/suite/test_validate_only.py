"""`?validate_only=true`: every write can be rehearsed; it answers as the write would, and leaves nothing."""

from __future__ import annotations

import pytest

from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_upsert_path
from flask_tenant_provisioning.testing.responses import ApiResponse

ASKED = "?validate_only=true"


def require_dry_run(response: ApiResponse) -> None:
    """Demand the header that says that nothing was written."""
    response.require(response.headers.get("X-Validate-Only") == "true", "answer with X-Validate-Only: true")


def test_dry_run_of_a_creation_creates_nothing(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body()
    response = provisioning_partner("POST", TENANTS + ASKED, json=body)
    require_dry_run(response)
    tenant = response.tenant(201)
    response.require(tenant == {**tenant, **body}, "show the tenant that would be")
    response.require(provisioning_partner.list_tenants(include_deleted="true") == [], "create nothing")
    provisioning_partner("POST", TENANTS, json=body).tenant(201)


def test_dry_run_of_an_upsert_creates_nothing(provisioning_partner: Caller) -> None:
    body = provisioning_partner.body(external_id="crm-1")
    response = provisioning_partner("PUT", get_upsert_path("crm-1") + ASKED, json=body)
    require_dry_run(response)
    response.tenant(201)
    response.require(provisioning_partner.list_tenants(include_deleted="true") == [], "create nothing")


@pytest.mark.parametrize(("method", "action"), [("PATCH", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/suspend")])
def test_dry_run_of_a_change_changes_nothing(provisioning_partner: Caller, method: str, action: str) -> None:
    tenant = provisioning_partner.create()
    content = {"json": provisioning_partner.body()} if method in ("PATCH", "PUT") else {}
    response = provisioning_partner.write(method, tenant, action + ASKED, **content)
    require_dry_run(response)
    response.require(response.tenant() != tenant, "show the tenant as it would be")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_dry_run_of_a_reactivation_changes_nothing(provisioning_partner: Caller) -> None:
    suspended = provisioning_partner.write("POST", provisioning_partner.create(), "/suspend").tenant()
    deleted = provisioning_partner.delete(provisioning_partner.create())
    for tenant, action in ((suspended, "/reactivate"), (deleted, "/restore")):
        response = provisioning_partner.write("POST", tenant, action + ASKED)
        require_dry_run(response)
        response.require(response.tenant()["status"] == "active", "show the tenant as it would be")
        response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_dry_run_of_a_purge_purges_nothing(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner.purge(tenant, "&validate_only=true")
    require_dry_run(response)
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_dry_run_is_refused_like_the_write(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    taken = provisioning_partner("POST", TENANTS + ASKED, json=provisioning_partner.body(email=tenant["email"]))
    taken.problem(409, "tenant-exists", field="email", conflicting_tenant=tenant["tenant"])
    require_dry_run(taken)
    wrong = provisioning_partner("POST", TENANTS + ASKED, json=provisioning_partner.body(email="admin@"))
    wrong.require(wrong.faults() == {"#/email": "invalid-email"}, "name the invalid email")


def test_dry_run_uses_no_idempotency_key(provisioning_partner: Caller) -> None:
    body, headers = provisioning_partner.body(), {"Idempotency-Key": "rehearsed"}
    provisioning_partner("POST", TENANTS + ASKED, json=body, headers=headers).tenant(201)
    response = provisioning_partner("POST", TENANTS, json=body, headers=headers)
    response.tenant(201)
    response.require("Idempotency-Replayed" not in response.headers, "create the tenant, and replay nothing")


@pytest.mark.parametrize("value", ["1", "True", ""])
def test_validate_only_is_true_or_false_and_nothing_else(provisioning_partner: Caller, value: str) -> None:
    response = provisioning_partner("POST", f"{TENANTS}?validate_only={value}", json=provisioning_partner.body())
    response.require(response.faults("invalid-parameter") == {"#/validate_only": "invalid-flag"}, "refuse the flag")
    response.require(provisioning_partner.list_tenants() == [], "create nothing")
