"""Partners: registered, changed, suspended, and seen by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning, requires
from flask_tenant_provisioning.partners.cache import PartnerCache
from flask_tenant_provisioning.validation import INVALID_PARTNER_ID
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.hosts import PREFIX, get_mount, make_config
from tests.support.servers import run_concurrently
from tests.support.stale_reads import InterleavedStorage

MakeApp = Callable[..., Flask]
PARTNERS = "/partners"
SUSPENDED = "Partner suspended."
NEW = {
    "name": None, "contact": None, "status": "active", "suspended_reason": None, "parent": None, "max_tenants": None,
    "allowed_plans": None, "version": 1,
}  # fmt: skip


@pytest.fixture
def admin(partner: Caller) -> Caller:
    return Caller(partner.app, roles=["provisioning-admin"])


def partner_path(partner: Caller) -> str:
    return f"{PARTNERS}/{partner.partner}"


def change(admin: Caller, partner: Caller, **fields: Any) -> dict[str, Any]:
    response = admin("PATCH", partner_path(partner), json=fields)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.get_json()
    return document


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": '"1"'}, 412), ({"If-Match": '"2"'}, 200), ({"If-Match": "*"}, 200), ({"If-None-Match": "*"}, 412),
        ({"If-Match": 'W/"2"'}, 412), ({}, 200),
    ],
)  # fmt: skip
def test_a_put_is_held_to_its_preconditions(
    admin: Caller, partner: Caller, headers: dict[str, str], status: int
) -> None:
    partner("GET", "/tenants")
    change(admin, partner, name="Before")
    response = admin("PUT", partner_path(partner), json={"name": "After"}, headers=headers)
    assert response.status_code == status, response.text
    assert admin("GET", partner_path(partner)).get_json()["name"] == ("After" if status == 200 else "Before")


def test_a_put_of_a_new_partner_is_held_to_them_too(admin: Caller) -> None:
    path = f"{PARTNERS}/{admin.partner}-new"
    assert admin("PUT", path, json={}, headers={"If-Match": "*"}).status_code == 412
    assert admin("GET", path).status_code == 404
    assert admin("PUT", path, json={}, headers={"If-None-Match": "*"}).status_code == 201


# Registered.


def test_first_call_registers_the_partner(partner: Caller, admin: Caller) -> None:
    assert_problem(admin("GET", partner_path(partner)), 404, "partner-not-found", "Partner not found.")
    assert partner("GET", "/tenants").status_code == 200
    response = admin("GET", partner_path(partner))
    document = response.get_json()
    times = dict.fromkeys(("created_at", "updated_at"), document["created_at"])
    assert document == {"partner": partner.partner, **NEW, **times}
    assert response.headers["ETag"] == '"1"'


def test_many_first_calls_at_once_register_one_partner(partner: Caller, admin: Caller) -> None:
    responses = run_concurrently(8, lambda _: Caller(partner.app, partner.partner)("GET", "/tenants"))
    assert [response.status_code for response in responses] == [200] * 8
    assert len(fetch_rows(partner.app, "partners", partner_id=partner.partner)) == 1


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_refused_caller_registers_no_partner(make_app: MakeApp, token: str) -> None:
    app = make_app()
    caller = Caller(app)
    caller.token = token
    assert caller("GET", "/tenants").status_code == 401
    assert fetch_rows(app, "partners") == []


def test_closed_registration_refuses_unknown_partners(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_REGISTRATION="admin", PROVISIONING_PARTNER_CACHE_SECONDS=0)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    for method, path in (("GET", "/tenants"), ("POST", "/tenants"), ("POST", "/bulk-jobs")):
        response = partner(method, path, json=[])
        assert_problem(response, 403, "partner-not-registered", "Partner not registered.")
    assert fetch_rows(app, "partners") == []
    assert admin("PUT", partner_path(partner), json={"name": "Acme"}).status_code == 201
    assert partner("GET", "/tenants").status_code == 200


def test_an_administrator_registers_and_replaces(partner: Caller, admin: Caller) -> None:
    response = admin("PUT", partner_path(partner), json={"name": " Acme ", "contact": "ops@acme.example"})
    document = response.get_json()
    assert (response.status_code, response.headers["Location"]) == (201, f"{PREFIX}{partner_path(partner)}")
    assert (document["name"], document["contact"], document["version"]) == ("Acme", "ops@acme.example", 1)
    response = admin("PUT", partner_path(partner), json={"name": "Acme"})
    assert (response.status_code, response.get_json()["contact"], response.headers["ETag"]) == (200, None, '"2"')
    again = admin("PUT", partner_path(partner), json={"name": "Acme"})
    assert again.get_json() == response.get_json()


@pytest.mark.parametrize("id", ["a/b", "auth0|1", "a b", "ä", ".", "a//b", "x" * 255, "%"])
def test_every_id_of_a_token_is_reachable(partner: Caller, id: str) -> None:
    from urllib.parse import quote

    name = f"{partner.partner}-{id}"[-255:]
    admin = Caller(partner.app, roles=["provisioning-admin"])
    assert Caller(partner.app, name)("GET", "/tenants").status_code == 200
    assert admin("GET", f"{PARTNERS}/{quote(name, safe='')}").get_json()["partner"] == name


def test_id_that_no_token_can_have_is_refused(admin: Caller) -> None:
    response = admin("PUT", f"{PARTNERS}/{'x' * 256}", json={})
    assert_invalid_fields(response, ("#/partner", "invalid-partner-id", INVALID_PARTNER_ID.detail))


# Changed.


def test_partner_gets_an_event_of_a_change(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    response = admin("PATCH", partner_path(partner), json={"name": "Acme", "suspended_reason": "none"})
    (event,) = read_feed(partner)
    assert (event["type"], event["tenant"], event["data"]) == ("partner.updated", None, response.get_json())
    assert event["changes"] == {"name": {"previous": None, "new": "Acme"}}
    assert event["actor"]["partner"] == admin.partner
    assert change(admin, partner, name="Acme")["version"] == 2
    assert len(read_feed(partner)) == 1


def test_all_errors_are_reported_at_once(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    assert_invalid_fields(
        admin(
            "PATCH",
            partner_path(partner),
            json={"name": "", "contact": 5, "status": None, "version": 2, "colour": "red"},
        ),
        ("#/colour", "unknown-field", "There is no such field."),
        ("#/contact", "invalid-type", "Must be a text."),
        ("#/name", "invalid-length", "Must have 1 to 255 characters."),
        ("#/status", "null", "This field may not be null."),
        ("#/version", "read-only", "This field is set by the server."),
    )
    assert_problem(admin("PATCH", f"{PARTNERS}/nobody", json={}), 404, "partner-not-found", "Partner not found.")


def test_two_administrators_do_not_overwrite_each_other(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")

    def rename(number: int) -> int:
        caller = Caller(partner.app, roles=["provisioning-admin"])
        return caller(
            "PATCH", partner_path(partner), json={"name": f"Name {number}"}, headers={"If-Match": '"1"'}
        ).status_code

    assert sorted(run_concurrently(4, rename)) == [200, 412, 412, 412]


def test_change_supports_dry_run_and_replay(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    response = admin("PATCH", f"{partner_path(partner)}?validate_only=true", json={"status": "suspended"})
    assert (response.get_json()["status"], response.headers["X-Validate-Only"]) == ("suspended", "true")
    assert partner("GET", "/tenants").status_code == 200
    first = admin("PATCH", partner_path(partner), json={"name": "Acme"}, headers={"Idempotency-Key": "k"})
    again = admin("PATCH", partner_path(partner), json={"name": "Acme"}, headers={"Idempotency-Key": "k"})
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")


# Suspended.


def test_a_suspended_partner_is_refused_at_once_and_let_in_again(partner: Caller, admin: Caller) -> None:
    tenant = partner.create()
    settings = change(admin, partner, status="suspended", suspended_reason="unpaid")
    assert (settings["status"], settings["suspended_reason"]) == ("suspended", "unpaid")
    for caller in (partner, partner.with_roles("partner-viewer"), partner.with_roles("nobody")):
        for method, path in (("GET", "/tenants"), ("GET", f"/tenants/{tenant['tenant']}"), ("POST", "/tenants")):
            assert_problem(caller(method, path), 403, "partner-suspended", SUSPENDED)
    assert admin("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant
    settings = change(admin, partner, status="active")
    assert (settings["status"], settings["suspended_reason"]) == ("active", None)
    assert partner("GET", f"/tenants/{tenant['tenant']}").status_code == 200


def test_cached_partner_is_refused_after_a_suspension(make_app: MakeApp) -> None:
    """The partner is suspended between the read of its row and the caching."""
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600)
    partner, admin, mount = Caller(app), Caller(app, roles=["provisioning-admin"]), get_mount(app)
    assert admin("PUT", partner_path(partner), json={}).status_code == 201
    cache = mount.once(PartnerCache)
    cache._storage = InterleavedStorage(  # type: ignore[assignment]
        mount.storage, lambda: change(admin, partner, status="suspended")
    )
    assert partner("GET", "/tenants").status_code == 200
    cache._storage = mount.storage
    assert_problem(partner("GET", "/tenants"), 403, "partner-suspended", SUSPENDED)


def test_administrator_of_a_suspended_partner_is_admitted(admin: Caller) -> None:
    assert admin("PUT", partner_path(admin), json={"status": "suspended"}).status_code == 201
    assert admin("GET", "/tenants").status_code == 200


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_other_processes_know_within_the_time_that_is_configured(database_url: str, seconds: int) -> None:
    clock = Clock()

    def process() -> Flask:
        app = Flask("host")
        app.config.update(make_config(PROVISIONING_PARTNER_CACHE_SECONDS=seconds, **LONG_LIVED_TOKENS))
        TenantProvisioning(clock=clock).init_app(app, database_url)
        return app

    here, there = process(), process()
    partner = Caller(there, "acme")
    assert partner("GET", "/tenants").status_code == 200
    change(Caller(here, roles=["provisioning-admin"]), partner, status="suspended")
    if seconds:
        clock.now += seconds - 0.001
        assert partner("GET", "/tenants").status_code == 200
        clock.now += 0.001
    assert partner("GET", "/tenants").status_code == 403


def test_a_view_of_the_host_s_own_is_closed_too(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/report")
    @requires("tenant:read")
    def report() -> str:
        return "all is well"

    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    headers = {"Authorization": f"Bearer {partner.token}"}
    assert partner.client.get("/report", headers=headers).text == "all is well"
    change(admin, partner, status="suspended")
    assert partner.client.get("/report", headers=headers).get_json()["code"] == "partner-suspended"


# Seen by whom.


def test_partners_are_listed_by_their_ids(make_app: MakeApp) -> None:
    app = make_app()
    admin = Caller(app, roles=["provisioning-admin"])
    for id in ("b", "a", "C", "ä"):
        admin("PUT", f"{PARTNERS}/{id}", json={"status": "suspended" if id == "a" else "active"})
    names, path = [], f"{PARTNERS}?limit=3"
    while path:
        page = admin("GET", path).get_json()
        names += [item["partner"] for item in page["items"]]
        path = f"{PARTNERS}?limit=3&cursor={page['next']}" if page["next"] else ""
    assert names == ["C", "a", "b", "ä"]
    assert [item["partner"] for item in admin("GET", f"{PARTNERS}?status=suspended").get_json()["items"]] == ["a"]
    cursor = admin("GET", f"{PARTNERS}?limit=1").get_json()["next"]
    assert admin("GET", f"{PARTNERS}?status=active&cursor={cursor}").get_json()["code"] == "invalid-cursor"


def test_a_partner_s_own_caller_sees_itself_and_changes_nothing(make_app: MakeApp) -> None:
    roles = {"manager": ["partner:read", "partner:manage"], "provisioning-admin": ["partner:manage"]}
    app = make_app(PROVISIONING_ROLES=roles, PROVISIONING_ADMIN_ROLES=["provisioning-admin"])
    manager, admin = Caller(app, roles=["manager"]), Caller(app, roles=["provisioning-admin"])
    admin("PUT", f"{PARTNERS}/another", json={})
    (document,) = manager("GET", PARTNERS).get_json()["items"]
    assert document["partner"] == manager.partner
    assert manager("GET", partner_path(manager)).get_json() == document
    assert_problem(manager("GET", f"{PARTNERS}/another"), 404, "partner-not-found", "Partner not found.")
    for method in ("PUT", "PATCH"):
        response = manager(method, partner_path(manager), json={"name": "Another"})
        assert_problem(response, 403, "insufficient-permission", "Only an administrator may change a partner.")


@pytest.mark.parametrize("role", ["partner-admin", "partner-viewer"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_partners_are_the_administrator_s_business(partner: Caller, role: str, method: str) -> None:
    response = partner.with_roles(role)(method, partner_path(partner), json={})
    assert (response.status_code, response.get_json()["code"]) == (403, "insufficient-permission")
