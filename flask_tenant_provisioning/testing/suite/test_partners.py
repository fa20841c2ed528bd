"""Partners: quotas, allowed plans, the hierarchy, and moves of tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import ApiResponse

OTHER_PLAN = "a plan of nobody's"


def partner_path(partner: Caller) -> str:
    """The partner's path."""
    return f"/partners/{quote(partner.partner, safe='')}"


def read_partner(partner: Caller) -> dict[str, Any]:
    """Return the partner as an administrator reads it."""
    return partner.administrator()("GET", partner_path(partner)).document()


def register_partner(partner: Caller) -> dict[str, Any]:
    """Send a request, which registers the partner, and return it as an administrator reads it."""
    partner("GET", TENANTS).expect(200)
    return read_partner(partner)


def change_partner(partner: Caller, fields: dict[str, Any]) -> ApiResponse:
    """Return the response to an administrator who changes the partner."""
    current, admin = read_partner(partner), partner.administrator()
    return admin("PATCH", partner_path(partner), json=fields, headers=admin.make_if_match(current))


@contextmanager
def change_temporarily(partner: Caller, **fields: Any) -> Iterator[ApiResponse]:
    """Have a partner changed for as long as the block lasts."""
    before = register_partner(partner)
    response = change_partner(partner, fields)
    response.document()
    try:
        yield response
    finally:
        change_partner(partner, {name: before[name] for name in fields})


def count_tenants(partner: Caller) -> dict[str, Any]:
    """The partner's row of the report."""
    response = partner.administrator()("GET", f"/usage?partner={quote(partner.partner, safe='')}")
    (row,) = response.document()["items"]
    counts: dict[str, Any] = row
    return counts


def test_a_partner_is_registered_and_named(provisioning_partner: Caller) -> None:
    before = register_partner(provisioning_partner)
    response = change_partner(provisioning_partner, {"name": "Example Ltd"})
    document = response.document()
    version = {"version": before["version"] + 1, "updated_at": document["updated_at"]}
    response.require(document == {**before, "name": "Example Ltd", **version}, "change the name, no more")
    response.require(read_partner(provisioning_partner) == document, "keep what it showed")


def test_all_errors_of_a_partner_are_reported(provisioning_partner: Caller) -> None:
    register_partner(provisioning_partner)
    wrong = {"max_tenants": -1, "allowed_plans": "all", "status": "gone", "partner": "another"}
    response = change_partner(provisioning_partner, wrong)
    faults = {
        "#/allowed_plans": "invalid-type",
        "#/max_tenants": "invalid-number",
        "#/partner": "read-only",
        "#/status": "invalid-choice",
    }
    response.require(response.faults() == faults, "name every field that is wrong")


def test_partner_quota_limits_its_tenants(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    with change_temporarily(provisioning_partner, max_tenants=1):
        response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body())
        response.problem(403, "quota-exceeded", limit=1, partner=provisioning_partner.partner)
        response.require(count_tenants(provisioning_partner)["remaining"] == 0, "leave no room in the report")
        response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant that is there")
        provisioning_partner.write("DELETE", tenant).expect(200)
        provisioning_partner.create()


def test_a_tenant_is_put_on_allowed_plans_alone(provisioning_partner: Caller) -> None:
    plan = (provisioning_partner.api.mount.plans or (OTHER_PLAN,))[0]
    with change_temporarily(provisioning_partner, allowed_plans=[]):
        response = provisioning_partner("POST", TENANTS, json=provisioning_partner.body(plan=plan))
        response.problem(403, "plan-not-allowed", plan=plan, allowed=[])


def test_a_suspended_partner_is_refused_at_once(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    with change_temporarily(provisioning_partner, status="suspended"):
        provisioning_partner("GET", get_tenant_path(tenant)).problem(403, "partner-suspended")
        response = provisioning_partner.administrator()("GET", get_tenant_path(tenant))
        response.require(response.tenant() == tenant, "show the tenant to an administrator")
    response = provisioning_partner("GET", get_tenant_path(tenant))
    response.require(response.tenant() == tenant, "show the tenant again")


def test_parent_partner_reads_and_does_not_write(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    register_partner(provisioning_partner)
    tenant = provisioning_stranger.create()
    query = f"?partner={quote(provisioning_stranger.partner, safe='')}"
    provisioning_partner("GET", TENANTS + query).problem(403, "insufficient-permission")
    with change_temporarily(provisioning_stranger, parent=provisioning_partner.partner):
        response = provisioning_partner("GET", TENANTS + query)
        response.require(response.document()["items"] == [tenant], "list the tenants of the partner below")
        response = provisioning_partner("GET", get_tenant_path(tenant) + query)
        response.require(response.tenant() == tenant, "show the tenant")
        body = provisioning_partner.body()
        provisioning_partner("POST", TENANTS + query, json=body).problem(403, "insufficient-permission")
        circle = change_partner(provisioning_partner, {"parent": provisioning_stranger.partner})
        circle.require(circle.faults() == {"#/parent": "circle"}, "refuse a partner below itself")
        with change_temporarily(provisioning_partner, status="suspended"):
            provisioning_stranger("GET", TENANTS).problem(403, "partner-suspended")
    provisioning_partner("GET", TENANTS + query).problem(403, "insufficient-permission")


def test_a_tenant_is_moved_with_its_counters(provisioning_partner: Caller, provisioning_stranger: Caller) -> None:
    tenant = provisioning_partner.create()
    register_partner(provisioning_stranger)
    admin = provisioning_partner.administrator()
    response = admin.write("POST", tenant, "/move", json={"partner": provisioning_stranger.partner})
    moved_tenant = response.tenant()
    version = {"version": tenant["version"] + 1, "updated_at": moved_tenant["updated_at"]}
    moved = {**tenant, "partner": provisioning_stranger.partner, **version}
    response.require(moved_tenant == moved, "give the tenant to the other partner, no more")
    response.require(provisioning_stranger.read(moved_tenant) == moved_tenant, "show it to the partner whose it is")
    provisioning_partner("GET", get_tenant_path(tenant)).problem(404, "tenant-not-found")
    response.require(count_tenants(provisioning_partner)["tenants"]["total"] == 0, "count it here no more")
    response.require(count_tenants(provisioning_stranger)["tenants"]["active"] == 1, "count it there")
    unknown = admin.write("POST", moved_tenant, "/move", json={"partner": f"{provisioning_stranger.partner}-nobody"})
    unknown.require(unknown.faults() == {"#/partner": "unknown-partner"}, "know no such partner")


def test_the_report_counts_tenants_by_status(provisioning_partner: Caller) -> None:
    provisioning_partner.create()
    provisioning_partner.write("POST", provisioning_partner.create(), "/suspend").expect(200)
    tenants = count_tenants(provisioning_partner)["tenants"]
    named = {name: tenants[name] for name in ("active", "suspended", "total")}
    response = provisioning_partner.administrator()("GET", "/usage", headers={"Accept": "text/csv"})
    response.require(named == {"active": 1, "suspended": 1, "total": 2}, "count both")
    response.expect(200).require(response.media_type == "text/csv", "come as CSV as well")
