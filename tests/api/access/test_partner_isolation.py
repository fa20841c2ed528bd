"""Another partner's tenant returns the same 404 as a tenant that does not exist, on every route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.database.ids import make_uuid7
from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.web.routing import Route
from tests.support.assertions import check_problem
from tests.support.callers import Caller

#: What partners may do; to move a tenant is an administrator's, who sees everybody's.
BY_ID = [
    route
    for route in ROUTES
    if "<tenant_id>" in route.rule and "partner:manage" not in route.required_permissions(True)
]
BODY = {"client_name": "Taken Over", "email": "taken-over@example.com"}
INVITATION = "0193d5f0-0000-7000-8000-000000000000"


def ask(caller: Caller, route: Route, tenant: str) -> Any:
    document = {"admin": {"email": BODY["email"]}} if route.rule.endswith("/invitations") else BODY
    body = {"json": document} if route.body and route.body_required else {}
    path = route.rule.replace("<tenant_id>", tenant).replace("<invitation_id>", INVITATION)
    return caller(route.method, path, **body)


def essence(response: Any, tenant: str) -> tuple[Any, ...]:
    """The answer without what must differ: the request's id and the path that was asked."""
    document = {name: value for name, value in response.get_json().items() if name != "request_id"}
    headers = sorted(f"{k}: {v}" for k, v in response.headers.items() if k not in ("X-Request-ID", "Date"))
    return response.status_code, json.dumps(document).replace(tenant, "ID"), headers


@pytest.mark.parametrize("route", BY_ID, ids=lambda route: f"{route.method} {route.rule}")
def test_another_partners_tenant_returns_the_404_of_an_absent_one(app: Flask, partner: Caller, route: Route) -> None:
    other, never = partner.create()["tenant"], make_uuid7()
    stranger = Caller(app)
    theirs, absent = ask(stranger, route, other), ask(stranger, route, never)
    check_problem(theirs, code="tenant-not-found", status=404, detail="Tenant not found.")
    assert essence(theirs, other) == essence(absent, never)


def test_these_tests_cover_every_route_with_an_id() -> None:
    assert {(route.method, route.rule) for route in BY_ID} >= {
        (method, "/tenants/<tenant_id>") for method in ("GET", "PATCH", "PUT", "DELETE")
    }


def test_requests_of_other_partners_change_nothing(app: Flask, partner: Caller) -> None:
    tenant, stranger = partner.create(), Caller(app)
    for route in BY_ID:
        ask(stranger, route, tenant["tenant"])
    assert partner("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_a_list_shows_the_callers_own_tenants_only(app: Flask, partner: Caller) -> None:
    Caller(app).create()
    mine = [partner.create(), partner.create()]
    assert partner("GET", "/tenants").get_json() == {"items": mine, "next": None}


def test_two_partners_may_use_one_email_and_one_external_id(app: Flask, partner: Caller) -> None:
    fields = {"email": "shared@example.com", "external_id": "1"}
    assert partner.create(**fields)["email"] == Caller(app).create(**fields)["email"]


def test_administrator_reads_changes_and_deletes_tenants_of_any_partner(app: Flask, partner: Caller) -> None:
    tenant, admin = partner.create(), Caller(app, roles=["provisioning-admin"])
    path = f"/tenants/{tenant['tenant']}"
    assert admin("GET", path).get_json() == tenant
    assert admin("PATCH", path, json={"industry": "Farming"}).get_json()["industry"] == "Farming"
    assert admin("DELETE", path).get_json()["partner"] == partner.partner


def test_administrator_lists_and_creates_for_the_partner_parameter(app: Flask, partner: Caller) -> None:
    tenant, admin = partner.create(), Caller(app, roles=["provisioning-admin"])
    query = f"?partner={partner.partner}"
    body = {"client_name": "By The Operator", "email": "operator@example.com"}
    created = admin("POST", f"/tenants{query}", json=body).get_json()
    assert created["partner"] == partner.partner
    assert admin("GET", f"/tenants{query}").get_json() == {"items": [tenant, created], "next": None}
    everybodys = admin("GET", "/tenants?limit=1000&sort=-created_at").get_json()["items"]
    assert created in everybodys


def test_only_an_administrator_may_name_a_partner(partner: Caller) -> None:
    for method, options in (("GET", {}), ("POST", {"json": BODY})):
        response = partner(method, f"/tenants?partner={partner.partner}", **options)
        check_problem(response, code="insufficient-permission", status=403)
