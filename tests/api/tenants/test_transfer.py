"""Tenants that go from one partner to another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.support import custom_fields
from tests.support.assertions import assert_invalid_fields, assert_problem
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import fetch_all_rows, fetch_rows, get_storage, update_tenant_row
from tests.support.events import read_feed
from tests.support.hosts import issue_license
from tests.support.servers import run_concurrently
from tests.support.workers.step_hosts import StepHost, read_provisioning

MakeApp = Callable[..., Flask]
ROLES = {
    "manager": ["partner:manage", "tenant:read"],
    "partner-admin": ["tenant:create", "tenant:read", "tenant:update", "tenant:delete", "event:read"],
    "provisioning-admin": ["partner:manage", "partner:read", "tenant:read", "tenant:create", "tenant:update",
                           "tenant:delete", "tenant:purge"],
}  # fmt: skip


class World:
    """Two partners of a host, and its administrator."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.admin = Caller(app, "us", roles=["provisioning-admin"])
        self.giver, self.receiver = Caller(app, "giver"), Caller(app, "receiver")
        for partner in (self.giver, self.receiver):
            assert partner("GET", "/tenants").status_code == 200

    def move(self, tenant: dict[str, Any], partner: str = "receiver", query: str = "", **headers: str) -> Any:
        path = f"/tenants/{tenant['tenant']}/move{query}"
        return self.admin("POST", path, json={"partner": partner}, headers=headers)

    def limit(self, partner: str, **fields: Any) -> None:
        assert self.admin("PATCH", f"/partners/{partner}", json=fields).status_code == 200

    def counts(self) -> dict[str, int]:
        return {row["partner_id"]: row["tenants"] for row in fetch_rows(self.app, "usage")}


@pytest.fixture
def world(make_app: MakeApp) -> World:
    return World(make_app(PROVISIONING_ROLES=ROLES))


# What comes of it.


def test_move_keeps_every_field_of_the_tenant(world: World) -> None:
    tenant = world.giver.create(external_id="x", plan="pro", metadata={"tier": "ü"}, phone_number="+1 555 0100")
    world.giver("POST", f"/tenants/{tenant['tenant']}/suspend", json={"reason": "unpaid"})
    before = world.giver("GET", f"/tenants/{tenant['tenant']}").get_json()
    response = world.move(tenant)
    after = response.get_json()
    assert response.status_code == 200, response.text
    assert after == {**before, "partner": "receiver", "version": 3, "updated_at": after["updated_at"]}
    assert (response.headers["ETag"], after["updated_at"] >= before["updated_at"]) == ('"3"', True)
    path = f"/tenants/{tenant['tenant']}"
    assert world.receiver("GET", path).get_json() == after
    assert world.receiver("GET", "/tenants").get_json()["items"] == [after]
    assert_problem(world.giver("GET", path), 404, "tenant-not-found", "Tenant not found.")
    assert world.giver("GET", "/tenants").get_json()["items"] == []
    assert world.receiver("POST", f"{path}/reactivate").get_json()["version"] == 4
    assert world.giver.create(email=tenant["email"], external_id="x")["partner"] == "giver"


def test_move_publishes_to_both_partners_and_keeps_earlier_events(world: World) -> None:
    tenant = world.giver.create()
    after = world.move(tenant).get_json()
    created, gone = read_feed(world.giver)
    (come,) = read_feed(world.receiver)
    assert (created["type"], created["data"]) == ("tenant.created", tenant)
    for event, partner in ((gone, "giver"), (come, "receiver")):
        assert (event["type"], event["partner"], event["tenant"]) == ("tenant.moved", partner, tenant["tenant"])
        assert (event["data"], event["actor"]["partner"]) == (after, "us")
        assert event["changes"] == {"partner": {"previous": "giver", "new": "receiver"}}
    assert gone["id"] != come["id"]


def test_the_host_s_own_fields_go_along(database_url: str) -> None:
    app = custom_fields.make_host(database_url)
    tenant = Caller(app, "giver").create(region="eu", limits={"a": 1}, extra=['"', None])
    receiver, admin = Caller(app, "receiver"), Caller(app, roles=["provisioning-admin"])
    receiver("GET", "/tenants")
    after = admin("POST", f"/tenants/{tenant['tenant']}/move", json={"partner": "receiver"}).get_json()
    differ = {name: after[name] for name in ("partner", "version", "updated_at")}
    assert after == {**tenant, **differ} == receiver("GET", f"/tenants/{tenant['tenant']}").get_json()
    get_storage(app).engine.dispose()


def test_transfer_to_the_same_partner_changes_nothing(world: World) -> None:
    tenant = world.giver.create()
    response = world.move(tenant, "giver")
    assert (response.status_code, response.get_json()) == (200, tenant)
    assert len(read_feed(world.giver)) == 1


def test_a_hook_takes_part_and_may_refuse(database_url: str) -> None:
    host = StepHost(database_url)
    calls: list[Any] = []

    @host.provisioning.hook("tenant.move")
    def watch(operation: str, before: Any, tenant: Any, principal: Any) -> None:
        calls.append((operation, before["partner"], tenant["partner"], principal.partner))
        if tenant["partner"] == "rival":
            raise PermissionError("Not to a rival.")

    host.provisioning.map_error(PermissionError, status=403, code="rival")
    host.open()
    world = World(host.app)
    moving = world.giver.create()
    assert world.move(moving).status_code == 200
    Caller(host.app, "rival")("GET", "/tenants")
    assert world.move(moving, "rival").get_json()["code"] == "rival"
    assert calls == [("tenant.move", "giver", "receiver", "us"), ("tenant.move", "receiver", "rival", "us")]
    assert world.receiver("GET", f"/tenants/{moving['tenant']}").get_json()["version"] == 2
    assert read_feed(Caller(host.app, "rival")) == []
    host.close()


# Who may, and what may be said.


def test_only_an_administrator_moves_tenants(world: World) -> None:
    tenant = world.giver.create()
    response = Caller(world.app, "giver", roles=["manager"])(
        "POST", f"/tenants/{tenant['tenant']}/move", json={"partner": "receiver"}
    )
    assert_problem(response, 403, "insufficient-permission", "Only an administrator may move a tenant.")
    response = world.giver("POST", f"/tenants/{tenant['tenant']}/move", json={"partner": "receiver"})
    assert (response.status_code, response.get_json()["required"]) == (403, ["partner:manage"])


def test_all_errors_are_reported(world: World) -> None:
    tenant = world.giver.create()
    path = f"/tenants/{tenant['tenant']}/move"
    assert_invalid_fields(world.move(tenant, "nobody"), ("#/partner", "unknown-partner", "There is no such partner."))
    assert_invalid_fields(
        world.admin("POST", path, json={"to": "receiver"}),
        ("#/partner", "required", "This field is required."),
        ("#/to", "unknown-field", "There is no such field."),
    )
    assert_invalid_fields(
        world.admin("POST", path, json={"partner": "x" * 256}),
        ("#/partner", "invalid-length", "Must have 1 to 255 characters."),
    )
    for unknown_partner in ("01890000-0000-7000-8000-000000000000", "x"):
        assert_problem(world.move({"tenant": unknown_partner}), 404, "tenant-not-found", "Tenant not found.")
    assert world.giver("GET", f"/tenants/{tenant['tenant']}").get_json() == tenant


def test_a_tenant_that_is_deleted_or_being_made_stays(world: World) -> None:
    deleted, unmade = world.giver.create(), world.giver.create()
    world.giver("DELETE", f"/tenants/{deleted['tenant']}")
    update_tenant_row(world.app, unmade, status="provisioning")
    for tenant, status in ((deleted, "deleted"), (unmade, "provisioning")):
        detail = f"A tenant that is {status} cannot be moved."
        assert_problem(world.move(tenant), 409, "invalid-state", detail, tenant_status=status)


# As every write.


def test_transfer_supports_preconditions_dry_run_and_replay(world: World) -> None:
    tenant = world.giver.create()
    world.giver("PATCH", f"/tenants/{tenant['tenant']}", json={"industry": "Farming"})
    detail = "The resource has another version than If-Match names."
    assert_problem(world.move(tenant, **{"If-Match": '"1"'}), 412, "precondition-failed", detail)
    before = fetch_all_rows(world.app)
    rehearsed = world.move(tenant, query="?validate_only=true")
    assert (rehearsed.get_json()["partner"], rehearsed.headers["X-Validate-Only"]) == ("receiver", "true")
    assert fetch_all_rows(world.app) == before
    first = world.move(tenant, **{"If-Match": '"2"', "Idempotency-Key": "k"})
    again = world.move(tenant, **{"If-Match": '"2"', "Idempotency-Key": "k"})
    assert (again.get_json(), again.headers["Idempotency-Replayed"]) == (first.get_json(), "true")
    assert len(read_feed(world.receiver)) == 1


def test_conflict_at_the_receiver_prevents_the_transfer(world: World) -> None:
    tenant = world.giver.create(external_id="x")
    same = world.receiver.create(email=tenant["email"].upper())
    response = world.move(tenant)
    detail = "Another tenant has this email."
    assert_problem(response, 409, "tenant-exists", detail, field="email", conflicting_tenant=same["tenant"])
    world.receiver("DELETE", f"/tenants/{same['tenant']}")
    other = world.receiver.create(external_id="x")
    detail = "Another tenant has this external id."
    assert_problem(
        world.move(tenant), 409, "tenant-exists", detail, field="external_id", conflicting_tenant=other["tenant"]
    )
    world.receiver("PATCH", f"/tenants/{other['tenant']}", json={"external_id": None})
    assert world.move(tenant).status_code == 200


# What the receiver may have.


def test_moved_tenant_counts_for_its_new_partner(world: World) -> None:
    tenants = [world.giver.create() for _ in range(3)]
    world.limit("giver", max_tenants=3)
    world.limit("receiver", max_tenants=1)
    assert world.move(tenants[0]).status_code == 200
    detail = "The partner's limit of 1 tenants is reached."
    assert_problem(world.move(tenants[1]), 403, "quota-exceeded", detail, limit=1, partner="receiver")
    world.giver.create()
    body = {"client_name": "Example Corp", "email": "more@example.com"}
    assert world.giver("POST", "/tenants", json=body).get_json()["partner"] == "giver"
    assert_problem(
        world.move(tenants[0], "giver"), 403, "quota-exceeded", detail.replace("1", "3"), limit=3, partner="giver"
    )
    world.limit("giver", max_tenants=None)
    assert world.move(tenants[0], "giver").status_code == 200
    assert world.move(tenants[1]).status_code == 200
    assert world.counts() == {"receiver": 1}


def test_licence_counts_a_moved_tenant_once(make_app: MakeApp) -> None:
    world = World(make_app(PROVISIONING_ROLES=ROLES, PROVISIONING_LICENSE=issue_license(max_tenants=1)))
    tenant = world.giver.create()
    assert world.move(tenant).status_code == 200
    assert world.counts() == {"": 1}


def test_the_receiver_s_plans_hold(world: World) -> None:
    tenant, bare = world.giver.create(plan="gold"), world.giver.create()
    world.limit("receiver", allowed_plans=["pro"])
    detail = "The partner may not put a tenant on the plan 'gold'."
    assert_problem(world.move(tenant), 403, "plan-not-allowed", detail, plan="gold", allowed=["pro"])
    assert world.move(bare).status_code == 200


# Its steps.


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url)
    yield host
    host.close()


def test_steps_move_with_the_tenant(host: StepHost) -> None:
    host.step("bucket")
    host.step("empty", phase="deprovisioning")
    host.open()
    world = World(host.app)
    body = {"client_name": "Example Corp", "email": "a@example.com"}
    tenant = world.giver("POST", "/tenants", json=body).get_json()
    detail = "A tenant that is provisioning cannot be moved."
    assert_problem(world.move(tenant), 409, "invalid-state", detail, tenant_status="provisioning")
    host.work()
    before = read_provisioning(world.giver, tenant)
    assert world.move(tenant).status_code == 200
    assert read_provisioning(world.receiver, tenant) == before
    assert world.giver("GET", f"/tenants/{tenant['tenant']}/provisioning").status_code == 404
    assert world.admin("DELETE", f"/tenants/{tenant['tenant']}?purge=true").status_code == 202
    host.work()
    assert host.done == ["bucket", "empty"]
    assert fetch_rows(host.app, "tenants") == fetch_rows(host.app, "runs") == fetch_rows(host.app, "steps") == []
    assert [event["type"] for event in read_feed(world.receiver)] == ["tenant.moved", "tenant.purged"]


def test_running_undo_prevents_the_transfer(host: StepHost) -> None:
    host.step("bucket")
    host.step("mail", after=["bucket"], retries=0)
    host.broken = {"mail": RuntimeError("no"), "undo bucket": RuntimeError("no")}
    host.open()
    world = World(host.app)
    tenant = world.giver("POST", "/tenants", json={"client_name": "E", "email": "a@example.com"}).get_json()
    host.work()
    assert world.giver("GET", f"/tenants/{tenant['tenant']}").get_json()["status"] == "failed"
    detail = "A tenant whose provisioning is undoing cannot be moved."
    assert_problem(world.move(tenant), 409, "invalid-state", detail, provisioning_state="undoing")
    assert read_provisioning(world.giver, tenant)["state"] == "undoing"
    host.broken = {}
    host.work(10_000)
    assert world.move(tenant).status_code == 200
    assert world.receiver("POST", f"/tenants/{tenant['tenant']}/provisioning/retry").status_code == 202
    host.work()
    assert world.receiver("GET", f"/tenants/{tenant['tenant']}").get_json()["status"] == "active"


# At once.


def test_moves_at_once_leave_one_tenant_and_true_counters(world: World) -> None:
    tenant = world.giver.create()
    for name in ("giver", "receiver"):
        world.limit(name, max_tenants=1)

    def move(number: int) -> int:
        admin = Caller(world.app, "us", roles=["provisioning-admin"])
        partner = ("giver", "receiver")[number % 2]
        if number % 3 == 0:
            return admin("PATCH", f"/tenants/{tenant['tenant']}", json={"industry": f"i{number}"}).status_code
        return admin("POST", f"/tenants/{tenant['tenant']}/move", json={"partner": partner}).status_code

    assert set(run_concurrently(12, move)) == {200}
    (row,) = fetch_rows(world.app, "tenants")
    moves = [read_feed(caller, type="tenant.moved") for caller in (world.giver, world.receiver)]
    assert len(moves[0]) == len(moves[1])
    updates = sum(len(read_feed(caller, type="tenant.updated")) for caller in (world.giver, world.receiver))
    assert row["version"] == 1 + len(moves[0]) + updates
    assert sum(world.counts().values()) == 1
    assert world.counts()[row["partner_id"]] == 1


# At the command line.


def test_an_operator_moves_a_tenant(world: World) -> None:
    tenant = world.giver.create()
    result = run_command(world.app, "tenants", "move", tenant["tenant"], "--to", "receiver", "--json")
    assert json.loads(result.out) == world.receiver("GET", f"/tenants/{tenant['tenant']}").get_json()
    result = run_command(world.app, "tenants", "move", tenant["tenant"], "--to", "nobody")
    assert (result.status, result.err.splitlines()[1]) == (1, "  partner: There is no such partner.")
    assert (
        run_command(world.app, "tenants", "move", tenant["tenant"], "--to", "giver", "--partner", "giver").status == 1
    )
    assert run_command(world.app, "tenants", "move", tenant["tenant"]).status == 2
