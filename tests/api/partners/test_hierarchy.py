"""Partners of partners: who stands where, what those above see of those below, and how a suspension falls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import EXAMPLE, Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently

MakeApp = Callable[..., Flask]
CIRCLE = ("#/parent", "circle", "Must be neither the partner itself nor one below it.")
UNKNOWN = ("#/parent", "unknown-partner", "There is no such partner.")
TOO_DEEP = ("#/parent", "too-deep", "Partners can be nested at most 5 levels deep.")
MAY_NOT = "Only an administrator may name a partner."
#: Partners may read themselves here.
ROLES = {
    "reader": ["partner:read", "tenant:read"],
    "partner-admin": [
        "tenant:create", "tenant:read", "tenant:update", "tenant:delete", "event:read", "bulk:create", "bulk:read",
    ],
    "provisioning-admin": ["partner:read", "partner:manage", "tenant:create", "tenant:read", "tenant:update"],
}  # fmt: skip


class World:
    """A host, its administrator, and partners: top above middle above low, and apart from them another."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.admin = Caller(app, "us", roles=["provisioning-admin"])
        for name, parent in (("top", None), ("middle", "top"), ("low", "middle"), ("another", None)):
            assert self.put(name, parent).status_code == 201

    def put(self, name: str, parent: str | None, **more: str) -> Any:
        return self.admin("PUT", f"/partners/{name}", json={"parent": parent, **more})

    def reader(self, name: str) -> Caller:
        return Caller(self.app, name, roles=["reader"])


@pytest.fixture
def world(make_app: MakeApp) -> World:
    return World(make_app(PROVISIONING_ROLES=ROLES))


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["partner"] for item in response.get_json()["items"]]


# Who stands where.


def test_a_parent_is_a_member_of_the_partner_and_of_its_event(world: World) -> None:
    assert world.admin("GET", "/partners/low").get_json()["parent"] == "middle"
    moved = world.admin("PATCH", "/partners/low", json={"parent": "another"}).get_json()
    assert moved["parent"] == "another"
    event = read_feed(Caller(world.app, "low"))[-1]
    assert (event["type"], event["changes"]) == (
        "partner.updated",
        {"parent": {"previous": "middle", "new": "another"}},
    )
    assert world.admin("PATCH", "/partners/low", json={"parent": None}).get_json()["parent"] is None


def test_ancestors_get_events_of_joining_and_leaving_partners(world: World) -> None:
    world.admin("PATCH", "/partners/low", json={"parent": "another"})
    world.admin("PATCH", "/partners/low", json={"name": "Low"})
    changes = {"parent": {"previous": "middle", "new": "another"}}
    for name in ("middle", "another"):
        event = read_feed(Caller(world.app, name))[-1]
        assert (event["type"], event["partner"], event["changes"]) == ("partner.updated", name, changes)
        assert (event["data"]["partner"], event["actor"]["partner"]) == ("low", "us")


def test_parent_must_exist_and_not_be_a_descendant(world: World) -> None:
    for name, parent in (("top", "top"), ("top", "middle"), ("top", "low"), ("middle", "low")):
        assert_invalid_fields(world.admin("PATCH", f"/partners/{name}", json={"parent": parent}), CIRCLE)
        assert_invalid_fields(world.put(name, parent), CIRCLE)
    assert_invalid_fields(world.put("new", "new"), CIRCLE)
    assert_invalid_fields(world.put("new", "nobody"), UNKNOWN)
    assert_invalid_fields(world.admin("PATCH", "/partners/low", json={"parent": "nobody"}), UNKNOWN)
    assert fetch_rows(world.app, "partners", partner_id="new") == []
    assert {row["partner_id"]: row["parent"] for row in fetch_rows(world.app, "partners") if row["parent"]} == {
        "middle": "top",
        "low": "middle",
    }


def test_five_levels_are_the_most(world: World) -> None:
    assert world.put("fourth", "low").status_code == 201
    assert world.put("fifth", "fourth").status_code == 201
    assert_invalid_fields(world.put("sixth", "fifth"), TOO_DEEP)
    world.put("sixth", None)
    assert_invalid_fields(world.put("sixth", "fifth"), TOO_DEEP)
    assert_invalid_fields(world.put("top", "another"), TOO_DEEP)
    assert world.put("middle", "another").status_code == 200
    assert_invalid_fields(world.put("another", "sixth"), TOO_DEEP)


def test_two_changes_at_once_make_no_circle(make_app: MakeApp) -> None:
    world = World(make_app(PROVISIONING_ROLES=ROLES))
    for turn in range(5):
        pairs = [(f"a{turn}", f"b{turn}"), (f"b{turn}", f"a{turn}")]
        for name, _ in pairs:
            world.put(name, None)

        def place(number: int, pairs: list[tuple[str, str]] = pairs) -> int:
            admin = Caller(world.app, "us", roles=["provisioning-admin"])
            name, parent = pairs[number % 2]
            status: int = admin("PATCH", f"/partners/{name}", json={"parent": parent}).status_code
            return status

        assert sorted(run_concurrently(2, place)) == [200, 400]


def test_descendants_are_listed(world: World) -> None:
    world.put("low2", "middle", status="suspended")
    assert names(world.admin("GET", "/partners?parent=middle")) == ["low", "low2"]
    assert names(world.admin("GET", "/partners?parent=middle&status=suspended")) == ["low2"]
    assert names(world.admin("GET", "/partners?parent=low")) == []
    page = world.admin("GET", "/partners?parent=middle&limit=1").get_json()
    assert names(world.admin("GET", f"/partners?parent=middle&limit=1&cursor={page['next']}")) == ["low2"]
    assert world.admin("GET", f"/partners?parent=top&cursor={page['next']}").status_code == 400


# What those above see.


def test_partner_reads_only_its_descendants(world: World) -> None:
    seen = {"top": ["low", "middle", "top"], "middle": ["low", "middle"], "low": ["low"], "another": ["another"]}
    for name, expected in seen.items():
        reader = world.reader(name)
        assert names(reader("GET", "/partners")) == expected
        assert names(reader("GET", "/usage")) == expected
        assert [line.split(",")[0] for line in reader("GET", "/usage", headers={"Accept": "text/csv"}).text.split()][
            1:
        ] == expected
        for other in (*seen, "nobody"):
            response = reader("GET", f"/partners/{other}")
            if other in expected:
                assert response.get_json()["partner"] == other
            else:
                assert_problem(response, 404, "partner-not-found", "Partner not found.")
            response = reader("GET", f"/usage?partner={other}")
            if other in expected and other != name:
                assert names(response) == [other]
            else:
                assert_problem(response, 403, "insufficient-permission", MAY_NOT)
    page = world.reader("top")("GET", "/partners?limit=2").get_json()
    assert names(world.reader("top")("GET", f"/partners?limit=2&cursor={page['next']}")) == ["top"]
    assert world.reader("middle")("GET", f"/partners?cursor={page['next']}").get_json()["code"] == "invalid-cursor"


def test_a_partner_reads_the_tenants_of_those_below_it(world: World) -> None:
    tenants = {name: Caller(world.app, name).create() for name in ("top", "middle", "low", "another")}
    for name, below in (("top", {"middle", "low"}), ("middle", {"low"}), ("low", set()), ("another", set())):
        caller = Caller(world.app, name)
        assert [tenant["partner"] for tenant in caller("GET", "/tenants").get_json()["items"]] == [name]
        for other, tenant in tenants.items():
            path = f"/tenants/{tenant['tenant']}"
            if other in below:
                assert caller("GET", f"/tenants?partner={other}").get_json() == {"items": [tenant], "next": None}
                assert caller("GET", f"{path}?partner={other}").get_json() == tenant
            else:
                for where in ("/tenants", path):
                    response = caller("GET", f"{where}?partner={other}")
                    assert_problem(response, 403, "insufficient-permission", MAY_NOT)
            if other != name:
                assert_problem(caller("GET", path), 404, "tenant-not-found", "Tenant not found.")
    wrong = Caller(world.app, "top")("GET", f"/tenants/{tenants['low']['tenant']}?partner=middle")
    assert_problem(wrong, 404, "tenant-not-found", "Tenant not found.")
    admin = world.admin("GET", f"/tenants/{tenants['low']['tenant']}?partner=low")
    assert admin.get_json() == tenants["low"]
    assert world.admin("GET", f"/tenants/{tenants['low']['tenant']}?partner=top").status_code == 404


def test_former_descendant_is_not_visible(world: World) -> None:
    Caller(world.app, "low").create()
    top = Caller(world.app, "top")
    cursor_of = top("GET", "/tenants?partner=low&limit=1")
    assert cursor_of.status_code == 200
    world.admin("PATCH", "/partners/middle", json={"parent": None})
    assert_problem(top("GET", "/tenants?partner=low"), 403, "insufficient-permission", MAY_NOT)


def test_ancestors_cannot_write(world: World) -> None:
    tenant, top = Caller(world.app, "low").create(), Caller(world.app, "top")
    for method, path in (("POST", "/tenants"), ("PUT", "/tenants/by-external-id/x"), ("POST", "/bulk-jobs")):
        response = top(method, f"{path}?partner=low", json=[EXAMPLE] if path == "/bulk-jobs" else EXAMPLE)
        assert_problem(response, 403, "insufficient-permission", MAY_NOT)
    for path in ("/events", "/bulk-jobs"):
        assert_problem(top("GET", f"{path}?partner=low"), 403, "insufficient-permission", MAY_NOT)
    for method in ("PATCH", "DELETE"):
        response = top(method, f"/tenants/{tenant['tenant']}", json={"industry": "x"})
        assert_problem(response, 404, "tenant-not-found", "Tenant not found.")
        assert top(method, f"/tenants/{tenant['tenant']}?partner=low", json={}).status_code in (400, 403)
    assert Caller(world.app, "low")("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


# How a suspension falls.


def test_a_suspension_falls_on_all_below_at_once(world: World) -> None:
    callers = {name: Caller(world.app, name) for name in ("top", "middle", "low", "another")}

    def list_refused() -> set[str]:
        responses = {name: caller("GET", "/tenants") for name, caller in callers.items()}
        for response in responses.values():
            if response.status_code != 200:
                assert_problem(response, 403, "partner-suspended", "Partner suspended.")
        return {name for name, response in responses.items() if response.status_code != 200}

    assert list_refused() == set()
    for name, fallen in (("middle", {"middle", "low"}), ("top", {"top", "middle", "low"}), ("low", {"low"})):
        world.admin("PATCH", f"/partners/{name}", json={"status": "suspended"})
        assert list_refused() == fallen
        world.admin("PATCH", f"/partners/{name}", json={"status": "active"})
        assert list_refused() == set()
    world.admin("PATCH", "/partners/another", json={"status": "suspended"})
    world.admin("PATCH", "/partners/middle", json={"parent": "another"})
    assert list_refused() == {"another", "middle", "low"}
    assert world.admin("GET", "/partners/low").get_json()["status"] == "active"


@pytest.mark.parametrize("seconds", [0, 5])
def test_other_processes_know_within_the_time_that_is_configured(database_url: str, seconds: int) -> None:
    clock = Clock()

    def process() -> Flask:
        app = Flask("host")
        app.config.update(make_config(PROVISIONING_PARTNER_CACHE_SECONDS=seconds, **LONG_LIVED_TOKENS))
        TenantProvisioning(clock=clock).init_app(app, database_url)
        return app

    here, there = World(process()), process()
    low = Caller(there, "low")
    assert low("GET", "/tenants").status_code == 200
    here.admin("PATCH", "/partners/top", json={"status": "suspended"})
    if seconds:
        clock.now += seconds - 0.001
        assert low("GET", "/tenants").status_code == 200
        clock.now += 0.001
    assert_problem(low("GET", "/tenants"), 403, "partner-suspended", "Partner suspended.")
