"""Partners: registered, changed, suspended, and seen by whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning, requires
from flask_tenant_provisioning.partners.cache import PartnerCache
from flask_tenant_provisioning.validation import INVALID_PARTNER_ID
from tests.overtaken import Overtaken
from tests.refusals import invalid, refused
from tests.servers import at_once
from tests.support.events import followed
from tests.witness import LASTING, Clock, rows
from tests.world import PREFIX, Caller, configuration, mount_of

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


def at(partner: Caller) -> str:
    return f"{PARTNERS}/{partner.partner}"


def change(admin: Caller, partner: Caller, **fields: Any) -> dict[str, Any]:
    answer = admin("PATCH", at(partner), json=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


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
    answer = admin("PUT", at(partner), json={"name": "After"}, headers=headers)
    assert answer.status_code == status, answer.text
    assert admin("GET", at(partner)).get_json()["name"] == ("After" if status == 200 else "Before")


def test_a_put_of_a_new_partner_is_held_to_them_too(admin: Caller) -> None:
    path = f"{PARTNERS}/{admin.partner}-new"
    assert admin("PUT", path, json={}, headers={"If-Match": "*"}).status_code == 412
    assert admin("GET", path).status_code == 404
    assert admin("PUT", path, json={}, headers={"If-None-Match": "*"}).status_code == 201


# Registered.


def test_a_partner_is_registered_when_it_first_calls(partner: Caller, admin: Caller) -> None:
    refused(admin("GET", at(partner)), 404, "partner-not-found", "Partner not found.")
    assert partner("GET", "/tenants").status_code == 200
    answer = admin("GET", at(partner))
    found = answer.get_json()
    times = dict.fromkeys(("created_at", "updated_at"), found["created_at"])
    assert found == {"partner": partner.partner, **NEW, **times}
    assert answer.headers["ETag"] == '"1"'


def test_many_first_calls_at_once_register_one_partner(partner: Caller, admin: Caller) -> None:
    answers = at_once(8, lambda _: Caller(partner.app, partner.partner)("GET", "/tenants"))
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len(rows(partner.app, "partners", partner_id=partner.partner)) == 1


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_who_is_nobody_registers_nobody(make_app: MakeApp, token: str) -> None:
    app = make_app()
    caller = Caller(app)
    caller.token = token
    assert caller("GET", "/tenants").status_code == 401
    assert rows(app, "partners") == []


def test_where_an_administrator_registers_others_are_refused(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_PARTNER_REGISTRATION="admin", PROVISIONING_PARTNER_CACHE_SECONDS=0)
    partner, admin = Caller(app), Caller(app, roles=["provisioning-admin"])
    for method, path in (("GET", "/tenants"), ("POST", "/tenants"), ("POST", "/bulk-jobs")):
        answer = partner(method, path, json=[])
        refused(answer, 403, "partner-not-registered", "Partner not registered.")
    assert rows(app, "partners") == []
    assert admin("PUT", at(partner), json={"name": "Acme"}).status_code == 201
    assert partner("GET", "/tenants").status_code == 200


def test_an_administrator_registers_and_replaces(partner: Caller, admin: Caller) -> None:
    answer = admin("PUT", at(partner), json={"name": " Acme ", "contact": "ops@acme.example"})
    made = answer.get_json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{PREFIX}{at(partner)}")
    assert (made["name"], made["contact"], made["version"]) == ("Acme", "ops@acme.example", 1)
    answer = admin("PUT", at(partner), json={"name": "Acme"})
    assert (answer.status_code, answer.get_json()["contact"], answer.headers["ETag"]) == (200, None, '"2"')
    again = admin("PUT", at(partner), json={"name": "Acme"})
    assert again.get_json() == answer.get_json()


@pytest.mark.parametrize("id", ["a/b", "auth0|1", "a b", "ä", ".", "a//b", "x" * 255, "%"])
def test_whatever_a_token_may_name_is_reached(partner: Caller, id: str) -> None:
    from urllib.parse import quote

    name = f"{partner.partner}-{id}"[-255:]
    admin = Caller(partner.app, roles=["provisioning-admin"])
    assert Caller(partner.app, name)("GET", "/tenants").status_code == 200
    assert admin("GET", f"{PARTNERS}/{quote(name, safe='')}").get_json()["partner"] == name


def test_a_partner_whom_no_token_can_name_is_refused(admin: Caller) -> None:
    answer = admin("PUT", f"{PARTNERS}/{'x' * 256}", json={})
    invalid(answer, ("#/partner", "invalid-partner-id", INVALID_PARTNER_ID.detail))


# Changed.


def test_a_change_is_told_to_the_partner(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    answer = admin("PATCH", at(partner), json={"name": "Acme", "suspended_reason": "none"})
    (event,) = followed(partner)
    assert (event["type"], event["tenant"], event["data"]) == ("partner.updated", None, answer.get_json())
    assert event["changes"] == {"name": {"previous": None, "new": "Acme"}}
    assert event["actor"]["partner"] == admin.partner
    assert change(admin, partner, name="Acme")["version"] == 2
    assert len(followed(partner)) == 1


def test_everything_that_is_wrong_is_told_at_once(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    invalid(
        admin("PATCH", at(partner), json={"name": "", "contact": 5, "status": None, "version": 2, "colour": "red"}),
        ("#/colour", "unknown-field", "There is no such field."),
        ("#/contact", "invalid-type", "Must be a text."),
        ("#/name", "invalid-length", "Must have 1 to 255 characters."),
        ("#/status", "null", "This field may not be null."),
        ("#/version", "read-only", "This field is set by the server."),
    )
    refused(admin("PATCH", f"{PARTNERS}/nobody", json={}), 404, "partner-not-found", "Partner not found.")


def test_two_administrators_do_not_overwrite_each_other(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")

    def rename(number: int) -> int:
        caller = Caller(partner.app, roles=["provisioning-admin"])
        return caller("PATCH", at(partner), json={"name": f"Name {number}"}, headers={"If-Match": '"1"'}).status_code

    assert sorted(at_once(4, rename)) == [200, 412, 412, 412]


def test_a_change_can_be_rehearsed_and_repeated(partner: Caller, admin: Caller) -> None:
    partner("GET", "/tenants")
    answer = admin("PATCH", f"{at(partner)}?validate_only=true", json={"status": "suspended"})
    assert (answer.get_json()["status"], answer.headers["X-Validate-Only"]) == ("suspended", "true")
    assert partner("GET", "/tenants").status_code == 200
    first = admin("PATCH", at(partner), json={"name": "Acme"}, headers={"Idempotency-Key": "k"})
    again = admin("PATCH", at(partner), json={"name": "Acme"}, headers={"Idempotency-Key": "k"})
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")


# Suspended.


def test_a_suspended_partner_is_refused_at_once_and_let_in_again(partner: Caller, admin: Caller) -> None:
    made = partner.create()
    found = change(admin, partner, status="suspended", suspended_reason="unpaid")
    assert (found["status"], found["suspended_reason"]) == ("suspended", "unpaid")
    for caller in (partner, partner.as_("partner-viewer"), partner.as_("nobody")):
        for method, path in (("GET", "/tenants"), ("GET", f"/tenants/{made['tenant']}"), ("POST", "/tenants")):
            refused(caller(method, path), 403, "partner-suspended", SUSPENDED)
    assert admin("GET", f"/tenants/{made['tenant']}").get_json() == made
    found = change(admin, partner, status="active")
    assert (found["status"], found["suspended_reason"]) == ("active", None)
    assert partner("GET", f"/tenants/{made['tenant']}").status_code == 200


def test_who_was_looked_up_before_a_suspension_is_refused_after_it(make_app: MakeApp) -> None:
    """Between the reading of the row and its remembering it is suspended."""
    app = make_app(PROVISIONING_PARTNER_CACHE_SECONDS=3600)
    partner, admin, mount = Caller(app), Caller(app, roles=["provisioning-admin"]), mount_of(app)
    assert admin("PUT", at(partner), json={}).status_code == 201
    known = mount.once(PartnerCache)
    known._storage = Overtaken(  # type: ignore[assignment]
        mount.storage, lambda: change(admin, partner, status="suspended")
    )
    assert partner("GET", "/tenants").status_code == 200
    known._storage = mount.storage
    refused(partner("GET", "/tenants"), 403, "partner-suspended", SUSPENDED)


def test_an_administrator_s_own_partner_is_asked_of_nobody(admin: Caller) -> None:
    assert admin("PUT", at(admin), json={"status": "suspended"}).status_code == 201
    assert admin("GET", "/tenants").status_code == 200


@pytest.mark.parametrize("seconds", [0, 1, 60])
def test_other_processes_know_within_the_time_that_is_configured(database_url: str, seconds: int) -> None:
    clock = Clock()

    def process() -> Flask:
        app = Flask("host")
        app.config.update(configuration(PROVISIONING_PARTNER_CACHE_SECONDS=seconds, **LASTING))
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
    found, path = [], f"{PARTNERS}?limit=3"
    while path:
        page = admin("GET", path).get_json()
        found += [one["partner"] for one in page["items"]]
        path = f"{PARTNERS}?limit=3&cursor={page['next']}" if page["next"] else ""
    assert found == ["C", "a", "b", "ä"]
    assert [one["partner"] for one in admin("GET", f"{PARTNERS}?status=suspended").get_json()["items"]] == ["a"]
    cursor = admin("GET", f"{PARTNERS}?limit=1").get_json()["next"]
    assert admin("GET", f"{PARTNERS}?status=active&cursor={cursor}").get_json()["code"] == "invalid-cursor"


def test_a_partner_s_own_caller_sees_itself_and_changes_nothing(make_app: MakeApp) -> None:
    roles = {"manager": ["partner:read", "partner:manage"], "provisioning-admin": ["partner:manage"]}
    app = make_app(PROVISIONING_ROLES=roles, PROVISIONING_ADMIN_ROLES=["provisioning-admin"])
    manager, admin = Caller(app, roles=["manager"]), Caller(app, roles=["provisioning-admin"])
    admin("PUT", f"{PARTNERS}/another", json={})
    (found,) = manager("GET", PARTNERS).get_json()["items"]
    assert found["partner"] == manager.partner
    assert manager("GET", at(manager)).get_json() == found
    refused(manager("GET", f"{PARTNERS}/another"), 404, "partner-not-found", "Partner not found.")
    for method in ("PUT", "PATCH"):
        answer = manager(method, at(manager), json={"name": "Another"})
        refused(answer, 403, "insufficient-permission", "Only an administrator may change a partner.")


@pytest.mark.parametrize("role", ["partner-admin", "partner-viewer"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH"])
def test_partners_are_the_administrator_s_business(partner: Caller, role: str, method: str) -> None:
    answer = partner.as_(role)(method, at(partner), json={})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "insufficient-permission")
