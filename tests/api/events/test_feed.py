"""The feed: a partner's events in their order, each once for a reader that follows `next`."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from flask_tenant_provisioning.encoding import diff_json
from flask_tenant_provisioning.events.feed import publish_all, publish_batch
from flask_tenant_provisioning.events.retention import remove_old_events
from flask_tenant_provisioning.events.statements import PAGE_WINDOW
from tests.support.assertions import assert_invalid_parameters, check_problem
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows, get_storage, open_host
from tests.support.events import read_feed, read_feed_page
from tests.support.workers.step_hosts import StepHost

TYPES = "tenant.created, tenant.provisioned, tenant.provisioning_failed, tenant.updated, tenant.suspended, "
TYPES += "tenant.reactivated, tenant.deleted, tenant.restored, tenant.moved, tenant.purged, tenant.settings_updated, "
TYPES += "bulk_job.finished, invitation.created, invitation.sent, invitation.failed, invitation.resent, "
TYPES += "invitation.accepted, invitation.revoked, invitation.expired, partner.updated, partner.settings_updated, "
TYPES += "webhook.created, webhook.updated, webhook.rotated, webhook.deleted, webhook.disabled, "
TYPES += "client.created, client.updated, client.rotated, client.deleted"


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("tenant.") for event in events]


def test_an_event_is_the_contracts_envelope(partner: Caller) -> None:
    tenant = partner.create()
    response = partner("PATCH", tenant_path(tenant), json={"plan": "gold"}, headers={"X-Request-ID": "change-1"})
    created, updated = read_feed_page(partner)["items"]
    assert created == {
        "id": created["id"],
        "type": "tenant.created",
        "timestamp": tenant["created_at"],
        "partner": partner.partner,
        "tenant": tenant["tenant"],
        "request_id": created["request_id"],
        "actor": {"sub": "someone", "partner": partner.partner},
        "data": tenant,
        "changes": {},
    }
    assert (updated["type"], updated["request_id"], updated["data"]) == ("tenant.updated", "change-1", response.json)
    assert updated["changes"] == {"plan": {"previous": None, "new": "gold"}}


def test_confirmed_write_is_in_the_feed_immediately(partner: Caller) -> None:
    for _ in range(3):
        tenant = partner.create()
        assert read_feed(partner)[-1]["tenant"] == tenant["tenant"]


def test_a_feed_without_events_has_a_cursor_for_those_to_come(partner: Caller) -> None:
    empty = read_feed_page(partner)
    assert (empty["items"], empty["has_more"]) == ([], False)
    tenant = partner.create()
    page = read_feed_page(partner, after=empty["next"])
    assert [event["tenant"] for event in page["items"]] == [tenant["tenant"]]
    assert read_feed_page(partner, after=page["next"])["items"] == []


def test_pages_follow_each_other_and_link(partner: Caller) -> None:
    tenants = [partner.create()["tenant"] for _ in range(5)]
    first = partner("GET", "/events?limit=2")
    page = first.get_json()
    assert first.headers["Link"].endswith(f'/events?limit=2&after={page["next"]}>; rel="next"')
    assert page["has_more"] is True
    assert [event["tenant"] for event in read_feed(partner, limit=2)] == tenants


def test_feed_lists_events_in_commit_order(partner: Caller) -> None:
    tenant = partner.create()
    for path in ("/suspend", "/reactivate"):
        assert partner("POST", tenant_path(tenant) + path, json={}).status_code == 200
    partner("DELETE", tenant_path(tenant))
    partner("POST", tenant_path(tenant) + "/restore")
    partner.with_roles("provisioning-admin")("DELETE", tenant_path(tenant) + "?purge=true")
    events = read_feed(partner)
    assert kinds(events) == ["created", "suspended", "reactivated", "deleted", "restored", "purged"]
    assert [event["data"]["version"] for event in events] == [1, 2, 3, 4, 5, 5]


def test_a_page_may_be_of_some_types(partner: Caller) -> None:
    tenant = partner.create()
    partner("PATCH", tenant_path(tenant), json={"plan": "gold"})
    partner("DELETE", tenant_path(tenant))
    assert kinds(read_feed(partner, type="tenant.deleted,tenant.created,tenant.deleted")) == ["created", "deleted"]
    assert read_feed(partner, type="tenant.purged") == []


def test_a_page_may_be_of_one_tenant(partner: Caller) -> None:
    one_, other = partner.create(), partner.create()
    partner("DELETE", tenant_path(one_))
    assert kinds(read_feed(partner, tenant=one_["tenant"].upper())) == ["created", "deleted"]
    assert kinds(read_feed(partner, tenant=other["tenant"], type="tenant.deleted")) == []


def test_cursor_accepts_a_different_type_filter(partner: Caller) -> None:
    partner.create()
    place = read_feed_page(partner, type="tenant.purged")["next"]
    tenant = partner.create()
    assert [event["tenant"] for event in read_feed_page(partner, after=place)["items"]] == [tenant["tenant"]]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("type=tenant.made", ("#/type", "invalid-choice", f"'tenant.made' is not one of: {TYPES}.")),
        ("type=", ("#/type", "invalid-length", "Must have 1 to 500 characters.")),
        ("tenant=1", ("#/tenant", "invalid-id", "Must be the id of a tenant.")),
        ("limit=0", ("#/limit", "invalid-limit", "Must be a whole number from 1 on.")),
        ("cursor=x", ("#/cursor", "unknown-field", "There is no such field.")),
        ("after=a&after=b", ("#/after", "duplicate", "Send this parameter once.")),
    ],
)
def test_invalid_parameters_are_refused(partner: Caller, query: str, fault: tuple[str, str, str]) -> None:
    assert_invalid_parameters(partner("GET", f"/events?{query}"), fault)


@pytest.mark.parametrize("after", ["x", "AAAA", "é", base64.urlsafe_b64encode(b"0" * 20).decode().rstrip("=")])
def test_a_cursor_of_ones_own_making_is_refused(partner: Caller, after: str) -> None:
    check_problem(partner("GET", "/events", query_string={"after": after}), status=400, code="invalid-cursor")


def test_another_partners_cursor_is_refused(partner: Caller) -> None:
    place = read_feed_page(partner)["next"]
    check_problem(Caller(partner.app)("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_feed_refuses_a_cursor_of_the_tenant_list(partner: Caller) -> None:
    for _ in range(2):
        partner.create()
    place = partner("GET", "/tenants?limit=1").get_json()["next"]
    check_problem(partner("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_a_partner_sees_its_own_feed_alone(partner: Caller) -> None:
    partner.create()
    stranger = Caller(partner.app)
    assert read_feed(stranger) == []
    response = stranger("GET", f"/events?partner={partner.partner}")
    check_problem(response, status=403, code="insufficient-permission")


def test_an_administrator_names_the_partner_and_sees_from_where(partner: Caller) -> None:
    tenant = partner.create()
    admin = Caller(partner.app, roles=("provisioning-admin",))
    (event,) = read_feed(admin, partner=partner.partner)
    assert event["tenant"] == tenant["tenant"]
    assert event["actor"] == {
        "sub": "someone",
        "partner": partner.partner,
        "address": "127.0.0.1",
        "user_agent": fetch_rows(partner.app, "events", tenant_id=tenant["tenant"])[0]["actor_user_agent"],
    }
    assert read_feed(admin) == []


def test_a_viewer_reads_and_a_token_without_the_permission_does_not(partner: Caller) -> None:
    assert partner.with_roles("partner-viewer")("GET", "/events").status_code == 200
    narrowed = Caller(partner.app, partner.partner, permissions=["tenant:read"])
    check_problem(narrowed("GET", "/events"), status=403, code="insufficient-permission")


class TestRetention:
    """Events that are older than they are kept."""

    @pytest.fixture
    def host(self, database_url: str) -> Iterator[StepHost]:
        host = StepHost(database_url, PROVISIONING_EVENT_RETENTION_DAYS=30)
        yield host
        host.close()

    def test_worker_removes_old_events(self, host: StepHost) -> None:
        partner = host.open()
        old = partner.create()
        host.work(29 * DAY)
        young = partner.create()
        assert [event["tenant"] for event in read_feed(partner)] == [old["tenant"], young["tenant"]]
        host.work(2 * DAY)
        assert [event["tenant"] for event in read_feed(partner)] == [young["tenant"]]
        assert len(fetch_rows(host.app, "events")) == 1

    def test_a_cursor_from_before_is_gone(self, host: StepHost) -> None:
        partner = host.open()
        start = read_feed_page(partner)["next"]
        partner.create()
        end = read_feed_page(partner)["next"]
        host.work(31 * DAY)
        document = check_problem(partner("GET", f"/events?after={start}"), status=410, code="cursor-expired")
        assert document["detail"] == "Cursor expired."
        assert read_feed_page(partner, after=end)["items"] == []

    def test_each_batch_is_a_transaction_of_its_own(self, host: StepHost) -> None:
        partners = [host.open(), *(Caller(host.app) for _ in range(2))]
        for partner in partners:
            partner.create()
        host.work()
        host.clock.now += 31 * DAY
        assert remove_old_events(get_storage(host.app), 30) == 3
        assert remove_old_events(get_storage(host.app), 30) == 0
        assert fetch_rows(host.app, "events") == []

    def test_unpublished_events_are_kept(self, host: StepHost) -> None:
        partner = host.open()
        partner.create()
        host.clock.now += 31 * DAY
        assert remove_old_events(get_storage(host.app), 30) == 0
        assert len(read_feed(partner)) == 1

    def test_a_place_that_the_feed_has_not_reached_is_refused(self, host: StepHost) -> None:
        partner = host.open()
        partner.create()
        place = read_feed_page(partner)["next"]
        storage = get_storage(host.app)
        with storage.engine.begin() as connection:
            connection.execute(storage.table("feeds").update().values(position=0))
        check_problem(partner("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_a_rare_type_costs_a_window_a_page(database: str, request: pytest.FixtureRequest) -> None:
    with open_host(request, database) as app:
        partner = Caller(app)
        rare = partner.create()
        storage = get_storage(app)
        event = fetch_rows(app, "events")[0]
        with storage.engine.begin() as connection:
            copies = [{**event, "id": storage.new_id(), "type": "tenant.updated"} for _ in range(10_050)]
            connection.execute(storage.table("events").insert(), copies)
        partner("DELETE", tenant_path(rare))
        while storage.transaction(lambda session: publish_batch(session, partner.partner)):
            pass
        first = read_feed_page(partner, type="tenant.created,tenant.deleted")
        assert (kinds(first["items"]), first["has_more"]) == (["created"], True)
        second = read_feed_page(partner, type="tenant.created,tenant.deleted", after=first["next"])
        assert (kinds(second["items"]), second["has_more"]) == (["deleted"], False)


def test_last_page_contains_all_committed_events(partner: Caller) -> None:
    partner.create()
    storage, event = get_storage(partner.app), fetch_rows(partner.app, "events", partner_id=partner.partner)[0]
    with storage.engine.begin() as connection:
        copies = [{**event, "id": storage.new_id()} for _ in range(2_100)]
        connection.execute(storage.table("events").insert(), copies)
    assert len(read_feed(partner, limit=1000)) == 2_101


@pytest.mark.parametrize("skew", [0, -5, -3600])
def test_a_process_whose_clock_is_behind_keeps_a_tenants_order(database_url: str, skew: int) -> None:
    ahead, behind = StepHost(database_url), StepHost(database_url)
    fast = ahead.open()
    behind.clock.now = ahead.clock.now + skew
    behind.open()
    slow = Caller(behind.app, fast.partner)
    tenant = fast.create()
    for number, caller in enumerate([slow, fast, slow, slow]):
        assert caller("PATCH", tenant_path(tenant), json={"plan": str(number)}).status_code == 200
    assert [event["data"]["version"] for event in read_feed(slow)] == [1, 2, 3, 4, 5]
    for host in (ahead, behind):
        host.close()


def test_a_small_change_leaves_a_small_record(partner: Caller) -> None:
    """`changes` names only the metadata members that differ; the tenant stands once, in `data`."""
    big = {f"{number:02}{'k' * 38}": "𝄞" * 500 for number in range(48)}
    created = partner.create(metadata={**big, "k": "1", "gone": "x"})
    body = {"metadata": {"k": "2", "gone": None, "new": "y"}}
    assert partner("PATCH", tenant_path(created), json=body).status_code == 200

    event = read_feed(partner, tenant=created["tenant"])[-1]
    assert event["changes"] == {"metadata": {"previous": {"k": "1", "gone": "x"}, "new": {"k": "2", "new": "y"}}}
    (row,) = fetch_rows(partner.app, "events", id=event["id"])
    tenant = len(json.dumps(event["data"], ensure_ascii=False).encode())
    assert sum(len(json.dumps(value, ensure_ascii=False).encode()) for value in row.values()) < 1.2 * tenant + 2000


@pytest.mark.parametrize(
    ("previous", "new", "changes"),
    [
        (1, 2, {"previous": 1, "new": 2}),
        (None, {"a": 1}, {"previous": None, "new": {"a": 1}}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"previous": {"b": 2}, "new": {"b": 3}}),
        ({"a": 1}, {"a": True}, {"previous": {"a": 1}, "new": {"a": True}}),
        ({"a": 1}, {"b": None}, {"previous": {"a": 1}, "new": {"b": None}}),
        (
            {"a": {"b": 1, "c": [1]}},
            {"a": {"b": 1, "c": [2]}},
            {"previous": {"a": {"c": [1]}}, "new": {"a": {"c": [2]}}},
        ),
        ({"a": {"b": 1}}, {"a": [1]}, {"previous": {"a": {"b": 1}}, "new": {"a": [1]}}),
    ],
)
def test_changes_of_objects_list_only_the_differences(previous: Any, new: Any, changes: Any) -> None:
    assert diff_json(previous, new) == changes


def write_events_at(partner: Caller, kinds_by_place: dict[int, str], count: int) -> None:
    """Give a feed so many events, of type ``tenant.updated`` but at these places."""
    storage, at = get_storage(partner.app), "2025-02-10T16:30:00.000000Z"
    rows = (
        {"partner_id": partner.partner, "id": id, "position": place, "timestamp": at, "data": "{}"}
        | {"type": kinds_by_place.get(place, "tenant.updated")}
        for place, id in enumerate(storage.make_ids(count), 1)
    )
    feed = {"partner_id": partner.partner, "position": count, "removed": 0, "published_at": at}
    with storage.engine.begin() as connection:
        connection.execute(storage.table("feeds").insert(), feed)
        connection.execute(storage.table("events").insert(), list(rows))


def test_a_filtered_feed_has_the_last_place_of_a_window_and_the_first_of_the_next(partner: Caller) -> None:
    """A page of few events looks at so many places, and the next begins right behind the last of them."""
    kinds_by_place = {1: "tenant.created", PAGE_WINDOW: "tenant.deleted", PAGE_WINDOW + 1: "tenant.restored"}
    write_events_at(partner, kinds_by_place, PAGE_WINDOW + 2)
    types = "tenant.created,tenant.deleted,tenant.restored"
    assert kinds(read_feed(partner, type=types)) == ["created", "deleted", "restored"]
    assert kinds(read_feed(partner, type="tenant.deleted")) == ["deleted"]
    assert kinds(read_feed_page(partner, type=types)["items"]) == ["created", "deleted"]


def test_a_publisher_whose_clock_is_behind_does_not_turn_the_feed_back(make_app: Any) -> None:
    """Positions of one partner's deliveries and events never go backwards, whichever process assigns them."""
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LONG_LIVED_TOKENS)
    partner, storage = Caller(app), get_storage(app)
    url = {"url": "https://93.184.215.14/hook"}
    assert partner("POST", "/webhooks", json=url).status_code == 201
    partner.create()
    publish_all(storage)
    (before,) = fetch_rows(app, "feeds", partner_id=partner.partner)
    clock.now -= 100
    partner.create()
    publish_all(storage)

    (after,) = fetch_rows(app, "feeds", partner_id=partner.partner)
    assert (after["position"], after["published_at"]) == (before["position"] + 1, before["published_at"])
    deliveries = sorted(fetch_rows(app, "deliveries"), key=lambda delivery: delivery["position"])
    assert [delivery["due_at"] for delivery in deliveries] == [before["published_at"]] * 2
