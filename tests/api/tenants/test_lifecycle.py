"""A tenant's states: what leads from which to which, what each step leaves behind, and when it is over."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.tenants import lifecycle
from tests.support.assertions import (
    NO_TAG,
    STALE,
    WEAK_TAG,
    assert_invalid_fields,
    assert_invalid_parameters,
    assert_problem,
)
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import count_tenants, fetch_rows, get_storage, open_host, update_tenant_row
from tests.support.events import fetch_event_types, fetch_tenant_events, list_changes
from tests.support.hosts import PREFIX, issue_license
from tests.support.servers import Reply, run_concurrently, send_request, serve

STATES = ("provisioning", "active", "suspended", "failed", "deleted", "purged")
OPERATIONS: dict[str, tuple[str, str]] = {
    "suspend": ("POST", "/suspend"),
    "reactivate": ("POST", "/reactivate"),
    "delete": ("DELETE", ""),
    "restore": ("POST", "/restore"),
    "purge": ("DELETE", "?purge=true"),
}
EVENTS = {
    "suspend": "tenant.suspended",
    "reactivate": "tenant.reactivated",
    "delete": "tenant.deleted",
    "restore": "tenant.restored",
}
#: From which state what leads where; None where there is nothing any more.
MOVES: dict[tuple[str, str], str | None] = {
    ("active", "suspend"): "suspended",
    ("suspended", "reactivate"): "active",
    ("provisioning", "delete"): "deleted",
    ("active", "delete"): "deleted",
    ("suspended", "delete"): "deleted",
    ("failed", "delete"): "deleted",
    ("deleted", "restore"): "active",
    ("provisioning", "purge"): None,
    ("active", "purge"): None,
    ("suspended", "purge"): None,
    ("failed", "purge"): None,
    ("deleted", "purge"): None,
}
STAYS = [("active", "reactivate"), ("suspended", "suspend"), ("deleted", "delete")]
REFUSED = {
    ("provisioning", "suspend"): "A tenant that is provisioning cannot be suspended.",
    ("provisioning", "reactivate"): "A tenant that is provisioning cannot be reactivated.",
    ("provisioning", "restore"): "A tenant that is provisioning cannot be restored.",
    ("active", "restore"): "A tenant that is active cannot be restored.",
    ("suspended", "restore"): "A tenant that is suspended cannot be restored.",
    ("failed", "suspend"): "A tenant that is failed cannot be suspended.",
    ("failed", "reactivate"): "A tenant that is failed cannot be reactivated.",
    ("failed", "restore"): "A tenant that is failed cannot be restored.",
    ("deleted", "suspend"): "A tenant that is deleted cannot be suspended.",
    ("deleted", "reactivate"): "A tenant that is deleted cannot be reactivated.",
}
ABSENT = [("purged", operation) for operation in OPERATIONS]
SHOWN_MOVES = [(state, operation, goal) for (state, operation), goal in MOVES.items() if goal]
PURGES = [state for (state, operation), goal in MOVES.items() if goal is None]
LIVING = [state for state in STATES if state not in ("deleted", "purged")]


@pytest.fixture
def admin(partner: Caller) -> Caller:
    """A caller of the same partner with the permission to purge."""
    return partner.with_roles("provisioning-admin")


def test_every_operation_is_described_from_every_state() -> None:
    described = [*MOVES, *STAYS, *REFUSED, *ABSENT]
    assert Counter(described) == Counter(itertools.product(STATES, OPERATIONS))


@pytest.mark.parametrize(("state", "operation", "goal"), SHOWN_MOVES)
def test_a_move_is_shown_and_remembered(admin: Caller, state: str, operation: str, goal: str) -> None:
    before = create_in_state(admin, state)
    response = do(admin, operation, before)
    document = response.get_json()
    own = {name: document[name] for name in ("updated_at", "deleted_at", "purge_at", "suspended_reason")}
    assert (response.status_code, response.headers["ETag"]) == (200, f'"{before["version"] + 1}"')
    assert document == {**before, **own, "status": goal, "version": before["version"] + 1}
    assert admin("GET", tenant_path(before)).get_json() == document
    assert fetch_tenant_events(admin, before)[-1] == (EVENTS[operation], document, list_changes(before, document))
    assert len(fetch_tenant_events(admin, before)) == before["version"] + 1


@pytest.mark.parametrize(("state", "operation"), STAYS)
def test_repeated_transition_changes_nothing(admin: Caller, state: str, operation: str) -> None:
    before = create_in_state(admin, state)
    events = fetch_tenant_events(admin, before)
    response = do(admin, operation, before, json={"reason": "another"} if operation == "suspend" else None)
    assert (response.status_code, response.get_json()) == (200, before)
    assert response.headers["ETag"] == f'"{before["version"]}"'
    assert fetch_tenant_events(admin, before) == events


@pytest.mark.parametrize(("state", "operation", "detail"), [(*key, detail) for key, detail in REFUSED.items()])
def test_a_move_from_the_wrong_state_answers_409(admin: Caller, state: str, operation: str, detail: str) -> None:
    before = create_in_state(admin, state)
    events = fetch_tenant_events(admin, before)
    assert_problem(do(admin, operation, before), 409, "invalid-state", detail, tenant_status=state)
    assert admin("GET", tenant_path(before)).get_json() == before
    assert fetch_tenant_events(admin, before) == events


@pytest.mark.parametrize("operation", OPERATIONS)
def test_purged_tenant_returns_404(admin: Caller, operation: str) -> None:
    gone = create_in_state(admin, "purged")
    assert_problem(do(admin, operation, gone), 404, "tenant-not-found", "Tenant not found.")
    assert fetch_event_types(admin, gone) == ["tenant.created", "tenant.purged"]


def test_event_has_actor_time_and_request_id(app: Flask) -> None:
    caller = Caller(app, sub="Jörg")
    tenant = caller.create()
    response = do(caller, "suspend", tenant, headers={"X-Request-ID": "request-2", "User-Agent": "agent/2"})
    row = fetch_rows(app, "events", tenant_id=tenant["tenant"])[-1]
    assert {name: row[name] for name in row if name not in ("id", "timestamp", "data", "changes", "position")} == {
        "partner_id": caller.partner,
        "type": "tenant.suspended",
        "tenant_id": tenant["tenant"],
        "request_id": "request-2",
        "actor_subject": "Jörg",
        "actor_partner": caller.partner,
        "actor_address": "127.0.0.1",
        "actor_user_agent": "agent/2",
        "traceparent": None,
    }
    assert f"{row['timestamp'][:23]}Z" == response.get_json()["updated_at"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_administrator_changes_states_of_any_partner(app: Flask, partner: Caller, operation: str) -> None:
    states = {"reactivate": "suspended", "restore": "deleted"}
    before = create_in_state(partner.with_roles("provisioning-admin"), states.get(operation, "active"))
    stranger = Caller(app, roles=["provisioning-admin"], sub="root")
    assert do(stranger, operation, before).status_code in (200, 204)
    row = fetch_rows(app, "events", tenant_id=before["tenant"])[-1]
    assert (row["partner_id"], row["actor_partner"], row["actor_subject"]) == (
        partner.partner, stranger.partner, "root",
    )  # fmt: skip


SUSPENSIONS: dict[str, tuple[dict[str, Any], str | None]] = {
    "no body": ({}, None),
    "no body, a type": ({"content_type": "text/plain"}, None),
    "an empty object": ({"json": {}}, None),
    "null": ({"json": {"reason": None}}, None),
    "a reason": ({"json": {"reason": "unpaid"}}, "unpaid"),
    "the shortest": ({"json": {"reason": "x"}}, "x"),
    "the longest": ({"json": {"reason": "😀" * 500}}, "😀" * 500),
}
LENGTH = ("#/reason", "invalid-length", "Must have 1 to 500 characters.")
TYPE = ("#/reason", "invalid-type", "Must be a text.")
OBJECT = ("#", "invalid-type", "Must be an object.")
WRONG: dict[str, tuple[Any, tuple[str, str, str]]] = {
    "empty": ({"reason": ""}, LENGTH),
    "too long": ({"reason": "x" * 501}, LENGTH),
    "a number": ({"reason": 1}, TYPE),
    "a flag": ({"reason": True}, TYPE),
    "a list": ({"reason": ["unpaid"]}, TYPE),
    "an object": ({"reason": {}}, TYPE),
    "another field": ({"status": "suspended"}, ("#/status", "unknown-field", "There is no such field.")),
    "no object but a list": ([], OBJECT),
    "no object but a text": ("unpaid", OBJECT),
    "no object but null": (None, OBJECT),
}


@pytest.mark.parametrize(("options", "reason"), SUSPENSIONS.values(), ids=SUSPENSIONS)
def test_a_suspension_shows_its_reason(partner: Caller, options: dict[str, Any], reason: str | None) -> None:
    document = do(partner, "suspend", partner.create(), **options).get_json()
    assert (document["status"], document["suspended_reason"]) == ("suspended", reason)


@pytest.mark.parametrize(("body", "error"), WRONG.values(), ids=WRONG)
def test_invalid_suspension_names_its_field(partner: Caller, body: Any, error: tuple[str, str, str]) -> None:
    tenant = partner.create()
    options = {"data": "null", "content_type": "application/json"} if body is None else {"json": body}
    assert_invalid_fields(do(partner, "suspend", tenant, **options), error)
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


@pytest.mark.parametrize(("data", "content_type", "status", "code"), [
    (b"{", "application/json", 400, "malformed-json"),
    (b'{"reason":"\\u0000"}', "application/json", 400, "malformed-json"),
    (b'{"reason":"unpaid"}', "text/plain", 415, "unsupported-media-type"),
    (b'{"reason":"unpaid"}', None, 415, "unsupported-media-type"),
])  # fmt: skip
def test_a_suspension_that_cannot_be_read_is_refused(
    partner: Caller, data: bytes, content_type: str | None, status: int, code: str
) -> None:
    tenant = partner.create()
    response = do(partner, "suspend", tenant, data=data, content_type=content_type)
    assert (response.status_code, response.get_json()["code"]) == (status, code)
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


def test_reactivating_clears_the_reason(partner: Caller) -> None:
    suspended = do(partner, "suspend", partner.create(), json={"reason": "unpaid"}).get_json()
    document = do(partner, "reactivate", suspended).get_json()
    assert (document["status"], document["suspended_reason"]) == ("active", None)
    assert fetch_tenant_events(partner, document)[-1][2] == {
        "status": {"previous": "suspended", "new": "active"},
        "suspended_reason": {"previous": "unpaid", "new": None},
    }


def test_a_suspended_tenant_can_be_changed_and_stays_suspended(partner: Caller) -> None:
    suspended = do(partner, "suspend", partner.create(), json={"reason": "unpaid"}).get_json()
    document = partner("PATCH", tenant_path(suspended), json={"industry": "Energy"}).get_json()
    assert (document["status"], document["suspended_reason"], document["industry"]) == ("suspended", "unpaid", "Energy")


@pytest.mark.parametrize("state", LIVING)
def test_restore_gives_back_the_state_that_the_tenant_had(admin: Caller, state: str) -> None:
    before = create_in_state(admin, state)
    deleted = do(admin, "delete", before).get_json()
    assert (deleted["status"], deleted["suspended_reason"]) == ("deleted", before["suspended_reason"])
    document = do(admin, "restore", before).get_json()
    assert document == {**before, "version": before["version"] + 2, "updated_at": document["updated_at"]}
    assert fetch_tenant_events(admin, before)[-1] == ("tenant.restored", document, list_changes(deleted, document))


def test_a_tenant_can_be_deleted_and_restored_again_and_again(partner: Caller) -> None:
    document = do(partner, "suspend", partner.create(**EXAMPLE, external_id="crm-1")).get_json()
    for _ in range(3):
        do(partner, "delete", document)
        restored = do(partner, "restore", document).get_json()
    assert restored == {**document, "version": 8, "updated_at": restored["updated_at"]}


def test_a_restored_tenant_holds_its_address_again(partner: Caller) -> None:
    tenant = partner.create(email="Admin@Example.com")
    do(partner, "delete", tenant)
    do(partner, "restore", tenant)
    response = partner("POST", "/tenants", json={"client_name": "Other", "email": "admin@example.com"})
    assert_taken(response, "email", tenant)


@pytest.mark.parametrize(("field", "wanted", "other"), [
    ("email", {"email": "Admin@Example.com"}, {"email": "admin@example.COM"}),
    ("external_id", {"external_id": "crm-1"}, {"external_id": "crm-1"}),
    ("email", {"email": "a@example.com", "external_id": "1"}, {"email": "a@example.com", "external_id": "1"}),
], ids=["the address, in other letters", "the external id", "both"])  # fmt: skip
def test_restore_with_a_taken_unique_value_returns_409(
    partner: Caller, field: str, wanted: dict[str, Any], other: dict[str, Any]
) -> None:
    tenant = partner.create(**wanted)
    deleted = do(partner, "delete", tenant).get_json()
    holder = partner.create(**other)
    assert_taken(do(partner, "restore", tenant), field, holder)
    assert partner("GET", tenant_path(tenant)).get_json() == deleted
    assert fetch_event_types(partner, tenant) == ["tenant.created", "tenant.deleted"]
    do(partner, "delete", holder)
    assert do(partner, "restore", tenant).status_code == 200


def test_another_partners_tenant_does_not_stand_in_the_way_of_a_restore(app: Flask, partner: Caller) -> None:
    tenant = partner.create(email="shared@example.com", external_id="crm-1")
    do(partner, "delete", tenant)
    Caller(app).create(email="shared@example.com", external_id="crm-1")
    assert do(partner, "restore", tenant).status_code == 200


@pytest.mark.parametrize("state", PURGES)
def test_a_purge_leaves_nothing_but_its_event(admin: Caller, state: str) -> None:
    before = create_in_state(admin, state)
    response = do(admin, "purge", before)
    assert (response.status_code, response.data) == (204, b"")
    assert {"Content-Type", "ETag", "Location"}.isdisjoint(response.headers)
    assert_problem(admin("GET", tenant_path(before)), 404, "tenant-not-found", "Tenant not found.")
    assert fetch_rows(admin.app, "tenants", id=before["tenant"]) == []
    assert fetch_tenant_events(admin, before)[-1] == ("tenant.purged", before, {})
    assert admin.create(email=before["email"], external_id=before["external_id"])["version"] == 1


@pytest.mark.parametrize("exists", [True, False], ids=["of one that exists", "of one that does not"])
def test_a_purge_needs_its_own_permission(partner: Caller, exists: bool) -> None:
    path = tenant_path(partner.create()) if exists else "/tenants/0193d5f0-0000-7000-8000-000000000000"
    response = partner("DELETE", f"{path}?purge=true")
    detail = "This needs the permission tenant:purge."
    assert_problem(response, 403, "insufficient-permission", detail, required=["tenant:purge"])
    challenge = 'error="insufficient_scope", scope="tenant:purge"'
    assert challenge in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize(("operation", "permission"), [
    ("suspend", "tenant:update"), ("reactivate", "tenant:update"),
    ("delete", "tenant:delete"), ("restore", "tenant:delete"), ("purge", "tenant:delete"),
])  # fmt: skip
def test_viewer_cannot_change_the_state(partner: Caller, operation: str, permission: str) -> None:
    tenant = partner.create()
    response = do(partner.with_roles("partner-viewer"), operation, tenant)
    detail = f"This needs the permission {permission}."
    assert_problem(response, 403, "insufficient-permission", detail, required=[permission])
    assert partner("GET", tenant_path(tenant)).get_json() == tenant


@pytest.mark.parametrize("value", ["yes", "1", "", "TRUE"])
def test_purge_is_true_or_false(admin: Caller, value: str) -> None:
    tenant = admin.create()
    response = admin("DELETE", f"{tenant_path(tenant)}?purge={value}")
    assert_invalid_parameters(response, ("#/purge", "invalid-flag", "Must be true or false."))
    assert admin("GET", tenant_path(tenant)).get_json() == tenant


def test_purge_false_deletes(partner: Caller) -> None:
    tenant = partner.create()
    assert partner("DELETE", f"{tenant_path(tenant)}?purge=false").get_json()["status"] == "deleted"


GOOD_TAGS = {"the same": '"{}"', "any": "*", "one of a list": '"0", "{}"'}
BAD_TAGS = {
    "another": ('"99"', STALE),
    "weak": ('W/"{}"', WEAK_TAG),
    "malformed": ("{}", NO_TAG),
    "empty": ("", NO_TAG),
}
SOURCES = {"suspend": "active", "reactivate": "suspended", "delete": "active", "restore": "deleted", "purge": "active"}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("tag", GOOD_TAGS.values(), ids=GOOD_TAGS)
def test_the_version_that_if_match_names_is_moved(admin: Caller, operation: str, tag: str) -> None:
    before = create_in_state(admin, SOURCES[operation])
    response = do(admin, operation, before, headers={"If-Match": tag.format(before["version"])})
    assert response.status_code == (204 if operation == "purge" else 200)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("tag", "detail"), BAD_TAGS.values(), ids=BAD_TAGS)
def test_another_version_is_not_moved(admin: Caller, operation: str, tag: str, detail: str) -> None:
    before = create_in_state(admin, SOURCES[operation])
    response = do(admin, operation, before, headers={"If-Match": tag.format(before["version"])})
    assert_problem(response, 412, "precondition-failed", detail)
    assert admin("GET", tenant_path(before)).get_json() == before
    assert len(fetch_tenant_events(admin, before)) == before["version"]


@pytest.mark.parametrize(("state", "operation"), STAYS)
def test_stale_if_match_returns_412_even_if_nothing_would_change(admin: Caller, state: str, operation: str) -> None:
    response = do(admin, operation, create_in_state(admin, state), headers={"If-Match": '"99"'})
    assert_problem(response, 412, "precondition-failed", STALE)


@pytest.fixture(scope="module")
def shared_clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def timed_app(request: pytest.FixtureRequest, database: str, shared_clock: Clock) -> Iterator[Flask]:
    license = issue_license(expires=int(shared_clock.now) + 2000 * DAY)
    with open_host(
        request, database, mount={"clock": shared_clock}, PROVISIONING_LICENSE=license, **LONG_LIVED_TOKENS
    ) as app:
        yield app


@pytest.fixture
def clock(shared_clock: Clock) -> Clock:
    """The time, which each test may move."""
    shared_clock.now = time.time()
    return shared_clock


@pytest.fixture
def timed_admin(timed_app: Flask) -> Caller:
    """A caller with the permission to purge, in an app that uses `clock`."""
    return Caller(timed_app, roles=["provisioning-admin"])


def test_the_retention_begins_with_the_deletion(timed_admin: Caller, clock: Clock) -> None:
    tenant = timed_admin.create()
    clock.now += 5 * DAY
    document = do(timed_admin, "delete", tenant).get_json()
    assert document["deleted_at"] == document["updated_at"]
    assert moment(document["deleted_at"]) - moment(tenant["created_at"]) == timedelta(days=5)
    assert moment(document["purge_at"]) - moment(document["deleted_at"]) == timedelta(days=30)


def test_deleting_again_does_not_prolong_the_retention(timed_admin: Caller, clock: Clock) -> None:
    tenant = timed_admin.create()
    deleted = do(timed_admin, "delete", tenant).get_json()
    clock.now += 5 * DAY
    assert do(timed_admin, "delete", tenant).get_json() == deleted


def test_a_tenant_can_be_restored_until_its_retention_is_over(timed_admin: Caller, clock: Clock) -> None:
    tenant = timed_admin.create()
    do(timed_admin, "delete", tenant)
    clock.now += 30 * DAY - 1
    document = do(timed_admin, "restore", tenant).get_json()
    assert document == {**tenant, "version": 3, "updated_at": document["updated_at"]}
    clock.now += 30 * DAY
    assert timed_admin("GET", tenant_path(tenant)).get_json() == document


LATE: dict[str, tuple[str, str, dict[str, Any]]] = {
    "read": ("GET", "", {}),
    "patch": ("PATCH", "", {"json": {"industry": "Energy"}}),
    "replace": ("PUT", "", {"json": EXAMPLE}),
    **{name: (method, suffix, {}) for name, (method, suffix) in OPERATIONS.items()},
}


@pytest.mark.parametrize("late", LATE)
def test_tenant_past_retention_returns_404(timed_admin: Caller, clock: Clock, late: str) -> None:
    tenant = timed_admin.create()
    do(timed_admin, "delete", tenant)
    clock.now += 30 * DAY
    method, suffix, options = LATE[late]
    response = timed_admin(method, tenant_path(tenant) + suffix, **options)
    assert_problem(response, 404, "tenant-not-found", "Tenant not found.")
    assert fetch_event_types(timed_admin, tenant) == ["tenant.created", "tenant.deleted"]


@pytest.mark.parametrize("query", ["", "?include_deleted=true", "?status=deleted"])
def test_tenant_past_retention_is_not_listed(timed_admin: Caller, clock: Clock, query: str) -> None:
    caller = timed_admin.with_roles("partner-admin")
    old_tenant = caller.create()
    do(caller, "delete", old_tenant)
    clock.now += 30 * DAY - 1
    inside = caller("GET", f"/tenants{query}").get_json()["items"]
    assert [tenant["tenant"] for tenant in inside] == ([old_tenant["tenant"]] if query else [])
    clock.now += 1
    assert caller("GET", f"/tenants{query}").get_json() == {"items": [], "next": None}


@pytest.mark.parametrize("days", [0, 1, 36_500])
def test_the_retention_is_configured(make_app: Callable[..., Flask], days: int) -> None:
    clock = Clock()
    app = make_app(mount={"clock": clock}, JWT_ACCESS_TOKEN_EXPIRES=False, PROVISIONING_RETENTION_DAYS=days)
    partner = Caller(app, exp=int(clock.now) + 40_000 * DAY)
    tenant = partner.create()
    document = do(partner, "delete", tenant).get_json()
    assert moment(document["purge_at"]) - moment(document["deleted_at"]) == timedelta(days=days)
    assert partner("GET", tenant_path(tenant)).status_code == (200 if days else 404)


@pytest.fixture
def swept(make_app: Callable[..., Flask], clock: Clock) -> Caller:
    """A caller in an app that uses `clock` and has no other tenants."""
    return Caller(make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS))


def test_only_due_tenants_are_purged(swept: Caller, clock: Clock) -> None:
    due = [swept.create() for _ in range(3)]
    for tenant in due:
        do(swept, "delete", tenant)
    clock.now += DAY
    later, restored, living = swept.create(), swept.create(), swept.create()
    do(swept, "delete", later)
    do(swept, "delete", restored)
    do(swept, "restore", restored)
    last = [swept("GET", tenant_path(tenant)).get_json() for tenant in due]
    clock.now += 29 * DAY
    assert lifecycle.purge_due(get_storage(swept.app), SWEEPER) == 3
    assert [fetch_tenant_events(swept, tenant)[-1] for tenant in due] == [
        ("tenant.purged", tenant, {}) for tenant in last
    ]
    left = {row["id"] for row in fetch_rows(swept.app, "tenants")}
    assert left == {tenant["tenant"] for tenant in (later, restored, living)}
    assert lifecycle.purge_due(get_storage(swept.app), SWEEPER) == 0
    row = fetch_rows(swept.app, "events", type="tenant.purged")[0]
    assert (row["actor_subject"], row["actor_partner"], row["request_id"]) == ("sweeper", "host", None)


def test_two_sweeps_at_once_purge_each_tenant_once(swept: Caller, clock: Clock) -> None:
    storage = get_storage(swept.app)
    for _ in range(120):
        do(swept, "delete", swept.create())
    clock.now += 30 * DAY
    counts = run_concurrently(2, lambda _: lifecycle.purge_due(storage, SWEEPER))
    assert sum(counts) == len(fetch_rows(swept.app, "events", type="tenant.purged")) == 120
    assert fetch_rows(swept.app, "tenants") == []


SWEEPER = Actor(Principal("sweeper", "host"))


def make_limited_caller(make_app: Callable[..., Flask], most: int, **config: Any) -> Caller:
    app = make_app(PROVISIONING_LICENSE=issue_license(max_tenants=most), **config)
    return Caller(app, roles=["provisioning-admin"])


def test_restoring_counts_against_the_limit(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 2)
    first, second = caller.create(), caller.create()
    do(caller, "delete", first)
    caller.create()
    detail = "The limit of 2 tenants is reached."
    assert_problem(do(caller, "restore", first), 403, "quota-exceeded", detail, limit=2)
    assert count_tenants(caller.app) == (2, 2)
    do(caller, "delete", second)
    assert do(caller, "restore", first).status_code == 200
    assert count_tenants(caller.app) == (2, 2)


def test_a_reached_limit_wins_over_a_stale_if_match(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 1)
    gone = caller.create()
    do(caller, "delete", gone)
    caller.create()
    response = do(caller, "restore", gone, headers={"If-Match": '"99"'})
    assert_problem(response, 403, "quota-exceeded", "The limit of 1 tenants is reached.", limit=1)


@pytest.mark.parametrize("state", PURGES)
def test_purge_frees_the_quota(make_app: Callable[..., Flask], state: str) -> None:
    caller = make_limited_caller(make_app, 5)
    before = create_in_state(caller, state)
    caller.create()
    do(caller, "purge", before)
    assert count_tenants(caller.app) == (1, 1)


@pytest.mark.parametrize("operation", ["suspend", "reactivate"])
def test_a_suspended_tenant_counts(make_app: Callable[..., Flask], operation: str) -> None:
    caller = make_limited_caller(make_app, 1)
    do(caller, operation, create_in_state(caller, SOURCES[operation]))
    assert count_tenants(caller.app) == (1, 1)
    response = caller("POST", "/tenants", json=EXAMPLE)
    assert response.get_json()["code"] == "quota-exceeded"


def test_a_refused_restore_or_delete_leaves_the_count(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 9)
    tenant = caller.create(email="a@example.com")
    stale = {"If-Match": '"9"'}
    assert do(caller, "delete", tenant, headers=stale).status_code == 412
    assert do(caller, "purge", tenant, headers=stale).status_code == 412
    do(caller, "delete", tenant)
    caller.create(email="a@example.com")
    assert do(caller, "restore", tenant).status_code == 409
    assert do(caller, "restore", tenant, headers=stale).status_code == 412
    assert count_tenants(caller.app) == (1, 1)


def test_concurrent_restores_do_not_exceed_the_limit(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 8)
    gone = [caller.create() for _ in range(8)]
    for tenant in gone:
        do(caller, "delete", tenant)
    for _ in range(5):
        caller.create()
    assert race(caller, [("restore", tenant) for tenant in gone]) == {200: 3, 403: 5}
    assert count_tenants(caller.app) == (8, 8)


@pytest.mark.parametrize(("operation", "statuses", "event"), [
    ("delete", {200: 10}, "tenant.deleted"),
    ("purge", {204: 1, 404: 9}, "tenant.purged"),
    ("suspend", {200: 10}, "tenant.suspended"),
])  # fmt: skip
def test_concurrent_equal_transitions_have_one_winner(
    make_app: Callable[..., Flask], operation: str, statuses: dict[int, int], event: str
) -> None:
    caller = make_limited_caller(make_app, 20)
    tenant, _ = caller.create(), caller.create()
    assert race(caller, [(operation, tenant)] * 10) == statuses
    assert fetch_event_types(caller, tenant) == ["tenant.created", event]
    assert len(set(count_tenants(caller.app))) == 1


def test_concurrent_restores_of_one_tenant_have_one_winner(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 20)
    tenant = caller.create()
    do(caller, "delete", tenant)
    assert race(caller, [("restore", tenant)] * 10) == {200: 1, 409: 9}
    assert count_tenants(caller.app) == (1, 1)


def test_the_count_is_true_after_any_mixture(make_app: Callable[..., Flask]) -> None:
    caller = make_limited_caller(make_app, 12)
    tenants = [caller.create() for _ in range(10)]
    mixed = [(operation, tenant) for tenant in tenants for operation in ("delete", "restore", "suspend", "delete")]
    statuses = race(caller, [*mixed, *(("purge", tenant) for tenant in tenants[:5])])
    assert set(statuses) <= {200, 204, 404, 409}
    counter, living = count_tenants(caller.app)
    assert counter == living
    assert len(fetch_rows(caller.app, "events")) == sum(
        len(fetch_tenant_events(caller, tenant)) for tenant in tenants
    )  # nothing else was touched
    for row in fetch_rows(caller.app, "tenants"):
        assert row["version"] == len(fetch_rows(caller.app, "events", tenant_id=row["id"]))


@pytest.mark.parametrize(("operation", "status"), [
    ("suspend", 200), ("reactivate", 200), ("delete", 200), ("purge", 204), ("restore", 403),
])  # fmt: skip
def test_with_an_expired_licence_all_goes_on_but_restoring(
    make_app: Callable[..., Flask], clock: Clock, operation: str, status: int
) -> None:
    license = issue_license(expires=int(clock.now) + DAY)
    app = make_app(mount={"clock": clock}, PROVISIONING_LICENSE=license, **LONG_LIVED_TOKENS)
    caller = Caller(app, roles=["provisioning-admin"])
    before = create_in_state(caller, SOURCES[operation])
    clock.now += 20 * DAY
    response = do(caller, operation, before)
    assert response.status_code == status, response.text
    if status == 403:
        assert (response.get_json()["code"], response.get_json()["title"]) == ("license-expired", "Licence expired")
        assert caller("GET", tenant_path(before)).get_json() == before


def create_in_state(caller: Caller, state: str) -> dict[str, Any]:
    """A new tenant in this state; its last document where it is purged."""
    tenant = caller.create(external_id=f"crm-{state}")
    if state in ("provisioning", "failed"):
        update_tenant_row(caller.app, tenant, status=state)
    elif state == "suspended":
        do(caller, "suspend", tenant, json={"reason": "unpaid"})
    elif state == "deleted":
        do(caller, "delete", tenant)
    elif state == "purged":
        do(caller, "purge", tenant)
        return tenant
    document: dict[str, Any] = caller("GET", tenant_path(tenant)).get_json()
    return document


def do(caller: Caller, operation: str, tenant: dict[str, Any], **options: Any) -> TestResponse:
    method, suffix = OPERATIONS[operation]
    return caller(method, tenant_path(tenant) + suffix, **options)


def race(caller: Caller, steps: list[tuple[str, dict[str, Any]]]) -> Counter[int]:
    """Do everything at once over HTTP; how often which status was answered."""

    def step(number: int) -> Reply:
        operation, tenant = steps[number]
        method, suffix = OPERATIONS[operation]
        return send_request(address, method, PREFIX + tenant_path(tenant) + suffix, caller.token)

    with serve(caller.app) as address:
        return Counter(reply.status for reply in run_concurrently(len(steps), step))


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def assert_taken(response: TestResponse, field: str, holder: dict[str, Any]) -> None:
    """Assert that the tenant `holder` stands in the way by this field."""
    detail = f"Another tenant has this {field.replace('_', ' ')}."
    assert_problem(response, 409, "tenant-exists", detail, field=field, conflicting_tenant=holder["tenant"])
