"""Another partner's resources: every route answers as for an id that does not exist."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path, get_upsert_path
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.routing import Route

NEVER = "01890000-0000-7000-8000-000000000000"
NO_INVITATION = "01890000-0000-7000-8000-000000000001"
#: What partners may do; to move a tenant is an administrator's, who sees everybody's.
BY_ID = [
    route
    for route in ROUTES
    if "<tenant_id>" in route.rule and "partner:manage" not in route.required_permissions(True)
]

by_id = pytest.mark.parametrize("route", BY_ID, ids=lambda route: f"{route.method} {route.rule}")


def request_route(caller: Caller, route: Route, tenant: str) -> ApiResponse:
    """The answer of `route` for this id, to a request that is valid otherwise."""
    document = caller.body()
    if route.rule.endswith("/invitations"):
        document = {"admin": {"email": document["email"]}}
    content: dict[str, Any] = {"json": document} if route.body and route.body_required else {}
    path = route.rule.replace("<tenant_id>", tenant).replace("<invitation_id>", NO_INVITATION)
    return caller(route.method, path, headers={"If-Match": "*"}, **content)


def normalize_answer(response: ApiResponse, tenant: str) -> str:
    """Return the response without the parts that must differ: the request's id and the requested id."""
    document = {
        name: value for name, value in response.problem(404, "tenant-not-found").items() if name != "request_id"
    }
    return json.dumps(document).replace(tenant, "ID")


@by_id
def test_tenant_of_another_partner_returns_404(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    tenant = provisioning_partner.create()
    theirs = request_route(provisioning_stranger, route, tenant["tenant"])
    absent = request_route(provisioning_stranger, route, NEVER)
    same = normalize_answer(theirs, tenant["tenant"]) == normalize_answer(absent, NEVER)
    theirs.require(same, "answer as for an id that never was")
    theirs.require(provisioning_partner.read(tenant) == tenant, "leave the other partner's tenant as it was")


@by_id
def test_another_partners_deleted_tenant_returns_404(
    provisioning_partner: Caller, provisioning_stranger: Caller, route: Route
) -> None:
    deleted = provisioning_partner.delete(provisioning_partner.create())
    request_route(provisioning_stranger, route, deleted["tenant"]).problem(404, "tenant-not-found")


def test_a_list_shows_the_callers_own_tenants_alone(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    theirs, mine = provisioning_stranger.create(), provisioning_partner.create()
    response = provisioning_partner("GET", f"{TENANTS}?include_deleted=true")
    response.require(response.document() == {"items": [mine], "next": None}, "list the caller's tenant alone")
    named = provisioning_partner("GET", f"{TENANTS}?email={theirs['email']}")
    named.require(named.document()["items"] == [], "find nothing of another partner's")


def test_two_partners_may_use_one_email_and_one_external_id(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant = provisioning_partner.create(external_id="shared")
    same = {"email": tenant["email"], "external_id": "shared"}
    response = provisioning_stranger("POST", TENANTS, json=provisioning_stranger.body(**same))
    response.require(response.tenant(201)["tenant"] != tenant["tenant"], "create another tenant")


def test_an_upsert_reaches_no_tenant_of_anothers(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    tenant = provisioning_partner.create(external_id="shared")
    response = provisioning_stranger(
        "PUT", get_upsert_path("shared"), json=provisioning_stranger.body(external_id="shared")
    )
    response.require(response.tenant(201)["partner"] == provisioning_stranger.partner, "create the caller's own tenant")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the other partner's tenant as it was")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_partner_cannot_use_the_partner_parameter(provisioning_partner: Caller, method: str) -> None:
    content: dict[str, Any] = {"json": provisioning_partner.body()} if method == "POST" else {}
    for partner in (provisioning_partner.partner, "somebody-else"):
        response = provisioning_partner(method, f"{TENANTS}?partner={partner}", **content)
        response.problem(403, "insufficient-permission")


def test_administrator_reaches_tenants_of_any_partner(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant, administrator = provisioning_partner.create(), provisioning_stranger.administrator()
    response = administrator("GET", get_tenant_path(tenant))
    response.require(response.tenant() == tenant, "show the tenant")
    name = provisioning_partner.body()["client_name"]
    changed = administrator.write("PATCH", tenant, json={"client_name": name})
    changed.require(changed.tenant()["client_name"] == name, "change the tenant")
    changed.require(provisioning_partner.read(tenant) == changed.tenant(), "change it for its partner too")


def test_administrator_lists_and_creates_for_the_partner_parameter(
    provisioning_partner: Caller, provisioning_stranger: Caller
) -> None:
    tenant, administrator = provisioning_partner.create(), provisioning_stranger.administrator()
    query = f"?partner={provisioning_partner.partner}"
    response = administrator("POST", TENANTS + query, json=provisioning_partner.body())
    created = provisioning_partner.wait_until_active(response.tenant(201))
    response.require(created["partner"] == provisioning_partner.partner, "create it for the partner that was named")
    listed = administrator("GET", TENANTS + query)
    listed.require(listed.document()["items"] == [tenant, created], "list this partner's tenants")
