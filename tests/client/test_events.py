"""The feed of events through the client: each event once and in order, whatever breaks."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tenant_provisioning_client import CursorExpired, InsufficientPermission, models, parse_event
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.faulty_server import FaultyServer, answer, drop, lose_response, refuse
from tests.support.client.hosts import ClientHost


def take(feed: Any, count: int) -> list[str]:
    """The names of the tenants of the next events."""
    return [event.data.client_name for event in itertools.islice(feed, count)]


def create(caller: Caller, *names: str) -> None:
    for name in names:
        caller.create(client_name=name)


def test_the_events_so_far_are_read_in_order_and_typed(client: Any, caller: Caller) -> None:
    tenant = client.tenants.create(client_name="Example Corp", email="admin@example.com", seats=3)
    client.tenants.update(tenant, industry="Arts")
    created, updated = client.events.list(tenant=tenant)
    assert (type(created), created.type, created.tenant) == (models.TenantCreatedEvent, "tenant.created", tenant.tenant)
    assert (created.data.client_name, created.data["seats"], created.actor.sub) == ("Example Corp", 3, "someone")
    assert {name: (change.previous, change.new) for name, change in updated.changes.items()} == {
        "industry": (None, "Arts")
    }
    assert [event.type for event in client.events.list(type=["tenant.updated", "tenant.deleted"])] == ["tenant.updated"]


def test_a_stored_cursor_goes_on_after_the_last_event_also_within_a_page(
    connect: Connections, client_host: ClientHost, caller: Caller
) -> None:
    create(caller, *"abcdefg")
    seen, cursor = "", None
    while len(seen) < 7:
        feed = connect(client_host.url, caller.token).events.list(after=cursor, limit=3)
        seen += "".join(take(feed, 2))
        cursor = feed.cursor
    assert seen == "abcdefg"
    assert take(connect(client_host.url, caller.token).events.list(after=cursor), 1) == []


def test_a_followed_feed_neither_loses_nor_repeats_an_event(
    connect: Connections, faulty: FaultyServer, caller: Caller
) -> None:
    time, names = Time(), iter("defghij")
    client = connect(faulty.url, caller.token, time=time)
    create(caller, *"abc")

    def let_something_happen(_seconds: float) -> None:
        create(caller, *itertools.islice(names, 1))

    time.on_wait = let_something_happen
    feed = client.events.follow(limit=2)
    faulty.faults += [drop, refuse(429, "rate-limited", Retry_After="1"), lose_response, answer(502, b"Bad gateway")]
    assert "".join(take(feed, 4)) == "abcd"
    faulty.faults += [drop] * 12
    assert "".join(take(feed, 6)) == "efghij"
    assert 5.0 in time.waits, "the attempts of two calls were used up, and the feed was read again later"
    assert take(client.events.list(after=feed.cursor), 1) == []


def test_a_feed_that_cannot_be_read_for_good_raises(connect: Connections, faulty: FaultyServer, caller: Caller) -> None:
    client = connect(faulty.url, caller.token, time=Time())
    for fault, error, advice in (
        (refuse(410, "cursor-expired"), CursorExpired, r"tenants\.list\(\)"),
        (refuse(403, "insufficient-permission"), InsufficientPermission, "Ask your administrator"),
    ):
        faulty.faults.append(fault)
        with pytest.raises(error, match=advice):
            take(client.events.follow(), 1)


def test_an_interval_without_a_wait_is_refused(client: Any) -> None:
    with pytest.raises(ValueError, match="above 0"):
        client.events.follow(interval=0)


def test_an_event_of_an_unknown_type_is_kept(caller: Caller) -> None:
    caller.create(client_name="Example Corp")
    document = caller("GET", "/events").get_json()["items"][0]
    event = parse_event({**document, "type": "tenant.praised", "stars": 5})
    assert isinstance(event, models.OtherEvent)
    assert (event.type, event.tenant, event["stars"]) == ("tenant.praised", document["tenant"], 5)
    assert event.data["client_name"] == "Example Corp"
    with pytest.raises(KeyError):
        parse_event({"type": "tenant.created"})
