"""The order of refusals of a write, and unchanged writes, which leave nothing."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from flask import Flask

from tests.support.assertions import assert_problem
from tests.support.callers import Caller
from tests.support.events import read_feed
from tests.support.workers.step_hosts import StepHost

NOWHERE = "0193d5f0-0000-7000-8000-000000000000"
STALE = {"If-Match": '"99"'}


def limit(caller: Caller, **fields: Any) -> None:
    admin = Caller(caller.app, roles=["provisioning-admin"])
    assert admin("PUT", f"/partners/{caller.partner}", json=fields).status_code in (200, 201)


def codes(caller: Caller, method: str, path: str, sent: Any, *steps: Any) -> list[str]:
    """The code of each refusal: of the call with everything wrong, and then with one thing after the other mended.

    `steps` are, in their order: the id of the path, the tenant's state, the precondition, and what the body asks for.
    """
    errors = []
    for where, headers, body in steps:
        options = {} if sent is None else {"json": body}
        response = caller(method, path.format(where), headers=headers, **options)
        errors.append(response.get_json()["code"])
    return errors


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_change_is_refused_in_a_fixed_order(partner: Caller, method: str) -> None:
    partner.create(email="held@example.com")
    living, deleted = partner.create(), partner.create()
    partner("DELETE", f"/tenants/{deleted['tenant']}")
    limit(partner, allowed_plans=["gold"])
    name, taken = {"client_name": "n"}, {"email": "held@example.com"}
    wrong, lead, gold = {"email": "bad"}, {**name, **taken, "plan": "lead"}, {**name, **taken, "plan": "gold"}
    assert codes(
        partner, method, "/tenants/{}", True,
        (NOWHERE, STALE, {**lead, **wrong}),
        (NOWHERE, STALE, lead),
        (deleted["tenant"], STALE, lead),
        (living["tenant"], STALE, lead),
        (living["tenant"], STALE, gold),
        (living["tenant"], {}, gold),
    ) == [
        "validation-error", "tenant-not-found", "invalid-state", "plan-not-allowed", "precondition-failed",
        "tenant-exists",
    ]  # fmt: skip


def test_creation_is_refused_in_a_fixed_order(partner: Caller) -> None:
    partner.create(email="held@example.com")
    full = Caller(partner.app, partner.partner)
    limit(partner, allowed_plans=["gold"], max_tenants=1)
    body = {"client_name": "n", "email": "held@example.com", "plan": "lead"}
    sent = [{**body, "email": "bad"}, body, {**body, "plan": "gold"}]
    for method, path in (("POST", "/tenants"), ("PUT", "/tenants/by-external-id/new")):
        refusals = [full(method, path, json=body, headers=STALE).get_json()["code"] for body in sent]
        limit(partner, max_tenants=2)
        if method == "PUT":
            stale = full(method, path, json=body, headers=STALE)
            assert stale.get_json()["code"] == "precondition-failed"
        refusals.append(full(method, path, json=body).get_json()["code"])
        limit(partner, allowed_plans=["gold"], max_tenants=1)
        assert refusals == ["validation-error", "plan-not-allowed", "quota-exceeded", "tenant-exists"]


def test_restoration_is_refused_in_a_fixed_order(partner: Caller) -> None:
    tenant = partner.create(email="held@example.com")["tenant"]
    path = f"/tenants/{tenant}/restore"
    refusals = [partner("POST", f"/tenants/{NOWHERE}/restore", headers=STALE), partner("POST", path, headers=STALE)]
    partner("DELETE", f"/tenants/{tenant}")
    partner.create(email="held@example.com")
    limit(partner, max_tenants=1)
    refusals.append(partner("POST", path, headers=STALE))
    limit(partner, max_tenants=2)
    refusals += [partner("POST", path, headers=STALE), partner("POST", path)]
    assert [response.get_json()["code"] for response in refusals] == [
        "tenant-not-found", "invalid-state", "quota-exceeded", "precondition-failed", "tenant-exists",
    ]  # fmt: skip


@pytest.mark.parametrize("action", ["suspend", "reactivate"])
def test_state_change_is_refused_in_a_fixed_order(partner: Caller, action: str) -> None:
    living, deleted = partner.create(), partner.create()
    partner("DELETE", f"/tenants/{deleted['tenant']}")
    refusals = [
        partner("POST", f"/tenants/{tenant}/{action}", headers=STALE).get_json()["code"]
        for tenant in (NOWHERE, deleted["tenant"], living["tenant"])
    ]
    assert refusals == ["tenant-not-found", "invalid-state", "precondition-failed"]


def test_move_is_refused_in_a_fixed_order(partner: Caller) -> None:
    admin, receiver = Caller(partner.app, roles=["provisioning-admin"]), Caller(partner.app)
    moved = partner.create(email="held@example.com", external_id="x", plan="lead")["tenant"]
    deleted = partner.create()["tenant"]
    partner("DELETE", f"/tenants/{deleted}")
    receiver.create(email="held@example.com")
    receiver.create(external_id="x")
    limit(receiver, allowed_plans=["gold"], max_tenants=2)

    def refuse(
        tenant: str, partner: Any = receiver.partner, caller: Caller = admin, headers: dict[str, str] = STALE
    ) -> tuple[str, str | None]:
        document = caller("POST", f"/tenants/{tenant}/move", json={"partner": partner}, headers=headers).get_json()
        return document["code"], document.get("field")

    refusals = [
        refuse(NOWHERE, 7, partner),
        refuse(NOWHERE, 7),
        refuse(NOWHERE, "nobody"),
        refuse(deleted, "nobody"),
        refuse(moved, "nobody"),
        refuse(moved),
    ]
    limit(receiver, max_tenants=2)
    refusals.append(refuse(moved))
    limit(receiver)
    refusals += [refuse(moved), refuse(moved, headers={})]
    partner("PATCH", f"/tenants/{moved}", json={"email": "other@example.com"})
    refusals.append(refuse(moved, headers={}))
    assert refusals == [
        ("insufficient-permission", None), ("validation-error", None), ("tenant-not-found", None),
        ("invalid-state", None), ("validation-error", None), ("plan-not-allowed", None), ("quota-exceeded", None),
        ("precondition-failed", None),
        ("tenant-exists", "email"), ("tenant-exists", "external_id"),
    ]  # fmt: skip


def test_stale_move_to_the_current_partner_returns_412(partner: Caller) -> None:
    admin, tenant = Caller(partner.app, roles=["provisioning-admin"]), partner.create()["tenant"]
    response = admin("POST", f"/tenants/{tenant}/move", json={"partner": partner.partner}, headers=STALE)
    assert response.get_json()["code"] == "precondition-failed"


def test_move_of_an_undoing_tenant_returns_invalid_state_first(database_url: str) -> None:
    """Neither the receiver's limit nor the version is looked at before, and no hook of the host's is asked."""
    host = StepHost(database_url)
    calls: list[Any] = []
    host.step("bucket")
    host.step("mail", after=["bucket"], retries=0)
    host.broken = {"mail": RuntimeError("no"), "undo bucket": RuntimeError("no")}
    host.provisioning.hook("tenant.move", name="watch")(lambda tenant: calls.append(tenant))
    giver, body = host.open(), {"client_name": "n", "email": "e@example.com"}
    tenant = giver("POST", "/tenants", json=body).get_json()["tenant"]
    host.work()
    receiver, admin = Caller(host.app), Caller(host.app, roles=["provisioning-admin"])
    limit(receiver, max_tenants=0)
    for partner in ("nobody", receiver.partner, giver.partner):
        response = admin("POST", f"/tenants/{tenant}/move", json={"partner": partner}, headers=STALE)
        detail = "A tenant whose provisioning is undoing cannot be moved."
        assert_problem(response, 409, "invalid-state", detail, provisioning_state="undoing")
    host.broken = {}
    host.work(10_000)
    move = partial(admin, "POST", f"/tenants/{tenant}/move", json={"partner": receiver.partner})
    refusals = [move(headers=STALE).get_json()["code"]]
    limit(receiver)
    refusals.append(move(headers=STALE).get_json()["code"])
    same = receiver("POST", "/tenants", json=body).get_json()["tenant"]
    refusals.append(move().get_json()["code"])
    assert refusals == ["quota-exceeded", "precondition-failed", "tenant-exists"]
    assert calls == []
    receiver("DELETE", f"/tenants/{same}")
    assert (move().status_code, len(calls)) == (200, 1)
    host.close()


UNCHANGED: dict[str, tuple[str, str, Any, str]] = {
    "patch": ("PATCH", "/tenants/{}", {"email": "e@example.com", "metadata": {"a": "1", "b": None}}, "active"),
    "put": ("PUT", "/tenants/{}", {"client_name": "n", "email": "e@example.com", "metadata": {"a": "1"}}, "active"),
    "suspend": ("POST", "/tenants/{}/suspend", {"reason": "another"}, "suspended"),
    "reactivate": ("POST", "/tenants/{}/reactivate", None, "active"),
    "delete": ("DELETE", "/tenants/{}", None, "deleted"),
}


@pytest.mark.parametrize("write", UNCHANGED)
def test_a_write_that_changes_nothing_keeps_version_and_events(partner: Caller, write: str) -> None:
    method, path, body, state = UNCHANGED[write]
    tenant = partner.create(client_name="n", email="e@example.com", metadata={"a": "1"})["tenant"]
    if state == "suspended":
        partner("POST", f"/tenants/{tenant}/suspend", json={"reason": "one"})
    if state == "deleted":
        partner("DELETE", f"/tenants/{tenant}")
    before, events = partner("GET", f"/tenants/{tenant}"), read_feed(partner)
    response = partner(method, path.format(tenant), **({} if body is None else {"json": body}))
    assert (response.status_code, response.get_json()) == (200, before.get_json())
    assert response.headers["ETag"] == before.headers["ETag"]
    assert read_feed(partner) == events


def test_move_to_the_current_partner_changes_nothing(partner: Caller) -> None:
    tenant, admin = partner.create()["tenant"], Caller(partner.app, roles=["provisioning-admin"])
    before, events = partner("GET", f"/tenants/{tenant}").get_json(), read_feed(partner)
    moved = admin("POST", f"/tenants/{tenant}/move", json={"partner": partner.partner})
    assert (moved.status_code, moved.get_json()) == (200, before)
    assert read_feed(partner) == events


def test_other_unchanged_writes_keep_the_version(app: Flask) -> None:
    admin, partner = Caller(app, roles=["provisioning-admin"]), Caller(app)
    path, wanted = f"/partners/{partner.partner}", {"max_tenants": 5, "allowed_plans": ["gold"]}
    first = admin("PUT", path, json=wanted).get_json()
    events = read_feed(partner)
    for method in ("PUT", "PATCH"):
        assert admin(method, path, json=wanted).get_json() == first, json.dumps(first)
    assert read_feed(partner) == events
