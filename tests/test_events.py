"""The feed: a partner's events in their order, each once, for whoever follows `next`."""

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
from tests.refusals import invalid_parameter
from tests.steps import House
from tests.support.events import followed, read
from tests.witness import DAY, LASTING, Clock, hosted, one, rows, storage_of
from tests.world import Caller, problem

TYPES = "tenant.created, tenant.provisioned, tenant.provisioning_failed, tenant.updated, tenant.suspended, "
TYPES += "tenant.reactivated, tenant.deleted, tenant.restored, tenant.moved, tenant.purged, tenant.settings_updated, "
TYPES += "bulk_job.finished, partner.updated, partner.settings_updated, webhook.created, webhook.updated, "
TYPES += "webhook.rotated, webhook.deleted, webhook.disabled"


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("tenant.") for event in events]


def test_an_event_is_the_contracts_envelope(partner: Caller) -> None:
    tenant = partner.create()
    answer = partner("PATCH", one(tenant), json={"plan": "gold"}, headers={"X-Request-ID": "change-1"})
    created, updated = read(partner)["items"]
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
    assert (updated["type"], updated["request_id"], updated["data"]) == ("tenant.updated", "change-1", answer.json)
    assert updated["changes"] == {"plan": {"previous": None, "new": "gold"}}


def test_what_was_answered_is_in_the_feed_at_once(partner: Caller) -> None:
    for _ in range(3):
        tenant = partner.create()
        assert followed(partner)[-1]["tenant"] == tenant["tenant"]


def test_a_feed_without_events_has_a_cursor_for_those_to_come(partner: Caller) -> None:
    empty = read(partner)
    assert (empty["items"], empty["has_more"]) == ([], False)
    tenant = partner.create()
    page = read(partner, after=empty["next"])
    assert [event["tenant"] for event in page["items"]] == [tenant["tenant"]]
    assert read(partner, after=page["next"])["items"] == []


def test_pages_follow_each_other_and_link(partner: Caller) -> None:
    made = [partner.create()["tenant"] for _ in range(5)]
    first = partner("GET", "/events?limit=2")
    page = first.get_json()
    assert first.headers["Link"].endswith(f'/events?limit=2&after={page["next"]}>; rel="next"')
    assert page["has_more"] is True
    assert [event["tenant"] for event in followed(partner, limit=2)] == made


def test_a_feed_is_in_the_order_in_which_it_happened(partner: Caller) -> None:
    tenant = partner.create()
    for path in ("/suspend", "/reactivate"):
        assert partner("POST", one(tenant) + path, json={}).status_code == 200
    partner("DELETE", one(tenant))
    partner("POST", one(tenant) + "/restore")
    partner.as_("provisioning-admin")("DELETE", one(tenant) + "?purge=true")
    events = followed(partner)
    assert kinds(events) == ["created", "suspended", "reactivated", "deleted", "restored", "purged"]
    assert [event["data"]["version"] for event in events] == [1, 2, 3, 4, 5, 5]


def test_a_page_may_be_of_some_types(partner: Caller) -> None:
    tenant = partner.create()
    partner("PATCH", one(tenant), json={"plan": "gold"})
    partner("DELETE", one(tenant))
    assert kinds(followed(partner, type="tenant.deleted,tenant.created,tenant.deleted")) == ["created", "deleted"]
    assert followed(partner, type="tenant.purged") == []


def test_a_page_may_be_of_one_tenant(partner: Caller) -> None:
    one_, other = partner.create(), partner.create()
    partner("DELETE", one(one_))
    assert kinds(followed(partner, tenant=one_["tenant"].upper())) == ["created", "deleted"]
    assert kinds(followed(partner, tenant=other["tenant"], type="tenant.deleted")) == []


def test_a_reader_may_change_what_it_asks_for(partner: Caller) -> None:
    partner.create()
    place = read(partner, type="tenant.purged")["next"]
    tenant = partner.create()
    assert [event["tenant"] for event in read(partner, after=place)["items"]] == [tenant["tenant"]]


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
def test_what_cannot_be_asked_is_refused(partner: Caller, query: str, fault: tuple[str, str, str]) -> None:
    invalid_parameter(partner("GET", f"/events?{query}"), fault)


@pytest.mark.parametrize("after", ["x", "AAAA", "é", base64.urlsafe_b64encode(b"0" * 20).decode().rstrip("=")])
def test_a_cursor_of_ones_own_making_is_refused(partner: Caller, after: str) -> None:
    problem(partner("GET", "/events", query_string={"after": after}), status=400, code="invalid-cursor")


def test_another_partners_cursor_is_refused(partner: Caller) -> None:
    place = read(partner)["next"]
    problem(Caller(partner.app)("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_a_cursor_of_tenants_is_none_of_the_feed(partner: Caller) -> None:
    for _ in range(2):
        partner.create()
    place = partner("GET", "/tenants?limit=1").get_json()["next"]
    problem(partner("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_a_partner_sees_its_own_feed_alone(partner: Caller) -> None:
    partner.create()
    stranger = Caller(partner.app)
    assert followed(stranger) == []
    answer = stranger("GET", f"/events?partner={partner.partner}")
    problem(answer, status=403, code="insufficient-permission")


def test_an_administrator_names_the_partner_and_sees_from_where(partner: Caller) -> None:
    tenant = partner.create()
    admin = Caller(partner.app, roles=("provisioning-admin",))
    (event,) = followed(admin, partner=partner.partner)
    assert event["tenant"] == tenant["tenant"]
    assert event["actor"] == {
        "sub": "someone",
        "partner": partner.partner,
        "address": "127.0.0.1",
        "user_agent": rows(partner.app, "events", tenant_id=tenant["tenant"])[0]["actor_user_agent"],
    }
    assert followed(admin) == []


def test_a_viewer_reads_and_a_token_without_the_permission_does_not(partner: Caller) -> None:
    assert partner.as_("partner-viewer")("GET", "/events").status_code == 200
    narrowed = Caller(partner.app, partner.partner, permissions=["tenant:read"])
    problem(narrowed("GET", "/events"), status=403, code="insufficient-permission")


class TestRetention:
    """Events that are older than they are kept."""

    @pytest.fixture
    def house(self, database_url: str) -> Iterator[House]:
        made = House(database_url, PROVISIONING_EVENT_RETENTION_DAYS=30)
        yield made
        made.close()

    def test_the_worker_removes_them(self, house: House) -> None:
        partner = house.open()
        old = partner.create()
        house.work(29 * DAY)
        young = partner.create()
        assert [event["tenant"] for event in followed(partner)] == [old["tenant"], young["tenant"]]
        house.work(2 * DAY)
        assert [event["tenant"] for event in followed(partner)] == [young["tenant"]]
        assert len(rows(house.app, "events")) == 1

    def test_a_cursor_from_before_is_gone(self, house: House) -> None:
        partner = house.open()
        start = read(partner)["next"]
        partner.create()
        end = read(partner)["next"]
        house.work(31 * DAY)
        document = problem(partner("GET", f"/events?after={start}"), status=410, code="cursor-expired")
        assert document["detail"] == "Cursor expired."
        assert read(partner, after=end)["items"] == []

    def test_each_batch_is_a_transaction_of_its_own(self, house: House) -> None:
        partners = [house.open(), *(Caller(house.app) for _ in range(2))]
        for partner in partners:
            partner.create()
        house.work()
        house.clock.now += 31 * DAY
        assert remove_old_events(storage_of(house.app), 30) == 3
        assert remove_old_events(storage_of(house.app), 30) == 0
        assert rows(house.app, "events") == []

    def test_what_nobody_has_published_is_kept(self, house: House) -> None:
        partner = house.open()
        partner.create()
        house.clock.now += 31 * DAY
        assert remove_old_events(storage_of(house.app), 30) == 0
        assert len(followed(partner)) == 1

    def test_a_place_that_the_feed_has_not_reached_is_refused(self, house: House) -> None:
        partner = house.open()
        partner.create()
        place = read(partner)["next"]
        storage = storage_of(house.app)
        with storage.engine.begin() as connection:
            connection.execute(storage.table("feeds").update().values(position=0))
        problem(partner("GET", f"/events?after={place}"), status=400, code="invalid-cursor")


def test_a_rare_type_costs_a_window_a_page(database: str, request: pytest.FixtureRequest) -> None:
    with hosted(request, database) as app:
        partner = Caller(app)
        rare = partner.create()
        storage = storage_of(app)
        event = rows(app, "events")[0]
        with storage.engine.begin() as connection:
            copies = [{**event, "id": storage.new_id(), "type": "tenant.updated"} for _ in range(10_050)]
            connection.execute(storage.table("events").insert(), copies)
        partner("DELETE", one(rare))
        while storage.transaction(lambda session: publish_batch(session, partner.partner)):
            pass
        first = read(partner, type="tenant.created,tenant.deleted")
        assert (kinds(first["items"]), first["has_more"]) == (["created"], True)
        second = read(partner, type="tenant.created,tenant.deleted", after=first["next"])
        assert (kinds(second["items"]), second["has_more"]) == (["deleted"], False)


def test_a_reader_who_is_told_of_no_more_has_read_what_was_committed(partner: Caller) -> None:
    partner.create()
    storage, event = storage_of(partner.app), rows(partner.app, "events", partner_id=partner.partner)[0]
    with storage.engine.begin() as connection:
        copies = [{**event, "id": storage.new_id()} for _ in range(2_100)]
        connection.execute(storage.table("events").insert(), copies)
    assert len(followed(partner, limit=1000)) == 2_101


@pytest.mark.parametrize("skew", [0, -5, -3600])
def test_a_process_whose_clock_is_behind_keeps_a_tenants_order(database_url: str, skew: int) -> None:
    ahead, behind = House(database_url), House(database_url)
    fast = ahead.open()
    behind.clock.now = ahead.clock.now + skew
    behind.open()
    slow = Caller(behind.app, fast.partner)
    tenant = fast.create()
    for number, caller in enumerate([slow, fast, slow, slow]):
        assert caller("PATCH", one(tenant), json={"plan": str(number)}).status_code == 200
    assert [event["data"]["version"] for event in followed(slow)] == [1, 2, 3, 4, 5]
    for house in (ahead, behind):
        house.close()


def test_a_small_change_leaves_a_small_record(partner: Caller) -> None:
    """Of the metadata `changes` names the members that differ; the tenant stands once, in `data`."""
    big = {f"{number:02}{'k' * 38}": "𝄞" * 500 for number in range(48)}
    made = partner.create(metadata={**big, "k": "1", "gone": "x"})
    body = {"metadata": {"k": "2", "gone": None, "new": "y"}}
    assert partner("PATCH", one(made), json=body).status_code == 200

    event = followed(partner, tenant=made["tenant"])[-1]
    assert event["changes"] == {"metadata": {"previous": {"k": "1", "gone": "x"}, "new": {"k": "2", "new": "y"}}}
    (row,) = rows(partner.app, "events", id=event["id"])
    tenant = len(json.dumps(event["data"], ensure_ascii=False).encode())
    assert sum(len(json.dumps(value, ensure_ascii=False).encode()) for value in row.values()) < 1.2 * tenant + 2000


@pytest.mark.parametrize(
    ("previous", "new", "told"),
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
def test_of_two_objects_only_what_differs_is_told(previous: Any, new: Any, told: Any) -> None:
    assert diff_json(previous, new) == told


def events_at(partner: Caller, kinds_by_place: dict[int, str], count: int) -> None:
    """Give a feed so many events, of type ``tenant.updated`` but at these places."""
    storage, at = storage_of(partner.app), "2025-02-10T16:30:00.000000Z"
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
    events_at(partner, kinds_by_place, PAGE_WINDOW + 2)
    asked = "tenant.created,tenant.deleted,tenant.restored"
    assert kinds(followed(partner, type=asked)) == ["created", "deleted", "restored"]
    assert kinds(followed(partner, type="tenant.deleted")) == ["deleted"]
    assert kinds(read(partner, type=asked)["items"]) == ["created", "deleted"]


def test_a_publisher_whose_clock_is_behind_does_not_turn_the_feed_back(make_app: Any) -> None:
    """Of one partner's deliveries and places the next is never earlier, whichever process gives them."""
    clock = Clock()
    app = make_app(mount={"clock": clock}, **LASTING)
    partner, storage = Caller(app), storage_of(app)
    url = {"url": "https://93.184.215.14/hook"}
    assert partner("POST", "/webhooks", json=url).status_code == 201
    partner.create()
    publish_all(storage)
    (before,) = rows(app, "feeds", partner_id=partner.partner)
    clock.now -= 100
    partner.create()
    publish_all(storage)

    (after,) = rows(app, "feeds", partner_id=partner.partner)
    assert (after["position"], after["published_at"]) == (before["position"] + 1, before["published_at"])
    deliveries = sorted(rows(app, "deliveries"), key=lambda delivery: delivery["position"])
    assert [delivery["due_at"] for delivery in deliveries] == [before["published_at"]] * 2
