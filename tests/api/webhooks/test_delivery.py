"""Deliveries to a real server: what is sent, in which order, what is tried again, and when one is left alone."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.webhooks.client.sender import ReceiverResponse, Sender
from flask_tenant_provisioning.webhooks.client.ssrf import SsrfGuard
from flask_tenant_provisioning.webhooks.delivery import DeliveryWork
from flask_tenant_provisioning.webhooks.fairness import SLOW_SECONDS
from flask_tenant_provisioning.webhooks.retention import remove_old_deliveries
from flask_tenant_provisioning.webhooks.signing import signing_key
from flask_tenant_provisioning.workers.worker import Worker
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import read_feed
from tests.support.hosts import make_config
from tests.support.webhooks.event_receiver import SECRET, Receiver

MINUTE, HOUR = 60.0, 3600.0


class Host:
    """A host with endpoints, a receiver, and a worker whose turns the test takes."""

    def __init__(self, database_url: str) -> None:
        self.clock = Clock()
        self.app = Flask("host")
        self.app.config.update(make_config(**LONG_LIVED_TOKENS))
        TenantProvisioning(clock=self.clock).init_app(self.app, database_url)
        self.storage = get_storage(self.app)
        guard = SsrfGuard(["http"], [], [ip_network("127.0.0.0/8")])
        self.sender = Sender(guard, connect_timeout=2, timeout=2)
        self.receivers: list[Receiver] = []
        self.partner = Caller(self.app)

    def endpoint(self, *events: str) -> Receiver:
        """A receiver at an endpoint for these types of events."""
        receiver = Receiver()
        threading.Thread(target=receiver.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        self.receivers.append(receiver)
        at = format_instant(self.clock.now)
        row = {
            "partner_id": self.partner.partner, "id": self.storage.new_id(), "url": receiver.url, "description": None,
            "events": json.dumps(events or ["*"]), "signing": "v1", "secrets": "[]", "enabled": 1,
            "disabled_reason": None, "version": 1, "created_at": at, "updated_at": at, "failing_since": None,
            "failures": 0, "rests_until": None, "due_at": None, "leased_until": None, "fence": 0,
        }  # fmt: skip
        with self.storage.engine.begin() as connection:
            connection.execute(self.storage.table("webhooks").insert(), row)
        return receiver

    def deliver(self, seconds: float = 0) -> None:
        """Let time pass, and deliver everything that is due by then."""
        self.clock.now += seconds
        publish_all(self.storage)
        Worker(self.work()).drain()

    def work(self) -> DeliveryWork:
        """The deliveries as work."""
        return DeliveryWork(self.storage, self.sender, lambda _endpoint, _now: [signing_key(SECRET)], lease=30)

    def close(self) -> None:
        for receiver in self.receivers:
            receiver.shutdown()
            receiver.server_close()
        self.sender.close()
        self.storage.engine.dispose()

    @property
    def webhook(self) -> dict[str, Any]:
        return fetch_rows(self.app, "webhooks")[0]


@pytest.fixture
def host(database_url: str) -> Iterator[Host]:
    host = Host(database_url)
    yield host
    host.close()


def test_every_event_is_delivered_as_the_feed_shows_it(host: Host) -> None:
    receiver = host.endpoint()
    tenant = host.partner.create()
    host.partner("PATCH", tenant_path(tenant), json={"plan": "gold"})
    host.deliver()
    assert receiver.taken == read_feed(host.partner)
    states = [(row["state"], row["attempts"], row["due_at"]) for row in fetch_rows(host.app, "deliveries")]
    assert states == [("succeeded", 1, None)] * 2
    assert [(row["number"], row["status"], row["error"]) for row in fetch_rows(host.app, "attempts")] == [
        (1, 204, None)
    ] * 2
    host.deliver(HOUR)
    assert len(receiver.ids) == 2


def test_endpoint_receives_only_its_event_types(host: Host) -> None:
    receiver, other = host.endpoint("tenant.deleted"), host.endpoint()
    tenant = host.partner.create()
    host.partner("DELETE", tenant_path(tenant))
    host.deliver()
    assert [event["type"] for event in receiver.taken] == ["tenant.deleted"]
    assert [event["type"] for event in other.taken] == ["tenant.created", "tenant.deleted"]


def test_another_partners_events_are_not_delivered(host: Host) -> None:
    receiver = host.endpoint()
    Caller(host.app).create()
    host.deliver()
    assert receiver.ids == []


def test_first_attempts_are_in_the_order_of_each_tenant(host: Host) -> None:
    receiver = host.endpoint()
    tenants = [host.partner.create() for _ in range(10)]
    for number in range(5):
        for tenant in tenants:
            host.partner("PATCH", tenant_path(tenant), json={"plan": str(number)})
    host.deliver()
    versions: dict[str, list[int]] = {}
    for event in receiver.taken:
        versions.setdefault(event["tenant"], []).append(event["data"]["version"])
    assert versions == {tenant["tenant"]: [1, 2, 3, 4, 5, 6] for tenant in tenants}


def test_failed_delivery_is_retried_with_the_same_id(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (500, {})
    host.partner.create()
    host.deliver()
    host.deliver(3)
    assert len(receiver.ids) == 1, "after 5 s, give or take a fifth"
    host.deliver(3.1)
    assert len(receiver.ids) == 2
    receiver.answer = lambda event: (204, {})
    host.deliver(6 * MINUTE)
    assert len(set(receiver.ids)) == 1
    assert len(receiver.ids) == 3
    assert [row["status"] for row in fetch_rows(host.app, "attempts")] == [500, 500, 204]
    assert host.webhook["failing_since"] is None


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 500])
def test_anything_but_2xx_is_a_failure(host: Host, status: int) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (status, {"Location": receiver.url})
    host.partner.create()
    host.deliver()
    assert len(receiver.ids) == 1
    assert [row["state"] for row in fetch_rows(host.app, "deliveries")] == ["pending"]


def test_delivery_fails_after_ten_attempts(host: Host) -> None:
    receiver, refused = host.endpoint(), host.partner.create()
    receiver.answer = lambda event: (500 if event["tenant"] == refused["tenant"] else 204, {})
    for _ in range(12):
        host.partner.create()
        host.deliver(29 * HOUR)
    (delivery,) = fetch_rows(host.app, "deliveries", tenant_id=refused["tenant"])
    assert (delivery["state"], delivery["attempts"], delivery["due_at"]) == ("failed", 10, None)
    assert len(receiver.taken) == 12
    assert host.webhook["enabled"] == 1


def test_retry_after_is_honoured_up_to_twice_the_schedule(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (503, {"Retry-After": "3600"})
    host.partner.create()
    host.deliver()
    (delivery,) = fetch_rows(host.app, "deliveries")
    assert delivery["due_at"] == format_instant(host.clock.now + 10)


def test_429_lets_the_endpoint_rest(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (429, {})
    for _ in range(20):
        host.partner.create()
    host.deliver()
    assert len(receiver.ids) <= 4, "one a lane"
    receiver.answer = lambda event: (204, {})
    host.deliver(59)
    assert receiver.taken == []
    host.deliver(30)
    assert len(receiver.taken) == 20


def test_410_disables_the_endpoint_and_publishes_an_event(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (410, {})
    host.partner.create()
    host.deliver()
    assert (host.webhook["enabled"], host.webhook["disabled_reason"]) == (0, "gone")
    host.partner.create()
    host.deliver(HOUR)
    assert len(receiver.ids) == 1
    event = read_feed(host.partner, type="webhook.disabled")[0]
    assert event["data"] == {
        "webhook": host.webhook["id"], "url": receiver.url, "enabled": False, "disabled_reason": "gone",
    }  # fmt: skip


def test_five_days_of_failure_disable_it(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (500, {})
    host.partner.create()
    for _ in range(5):
        host.deliver(24 * HOUR)
    assert host.webhook["enabled"] == 1
    host.deliver(25 * HOUR)
    assert (host.webhook["enabled"], host.webhook["disabled_reason"]) == (0, "failing")


def test_a_dead_endpoint_is_probed_by_one_delivery_and_then_gets_all(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (500, {})
    for _ in range(30):
        host.partner.create()
    host.deliver()
    first = len(receiver.ids)
    host.deliver(6)
    assert len(receiver.ids) == first + 1
    receiver.answer = lambda event: (204, {})
    host.deliver(400)
    host.deliver(400)
    assert len(receiver.taken) == 30


def test_an_endpoint_that_has_recovered_gets_several_at_once_again(host: Host) -> None:
    receiver, inside, met = host.endpoint(), list[str](), threading.Event()
    receiver.answer = lambda event: (500, {})
    for _ in range(40):
        host.partner.create()
    host.deliver()

    def respond(event: dict[str, Any]) -> tuple[int, dict[str, str]]:
        inside.append(event["id"])
        if len(inside) > 1:
            met.set()
        met.wait(2 if receiver.taken else 0)
        inside.remove(event["id"])
        return 204, {}

    receiver.answer = respond
    host.deliver(400)
    assert met.is_set()
    assert host.webhook["failures"] == 0


def test_late_renewal_fails(host: Host) -> None:
    receiver, late = host.endpoint(), host.work()
    host.partner.create()
    publish_all(host.storage)
    (claimed,) = late.claim(5)
    late.run(claimed)
    late.renew([claimed])
    host.partner.create()
    host.deliver()
    assert len(receiver.taken) == 2


def test_a_dead_server_is_an_attempt_that_says_why(host: Host) -> None:
    receiver = host.endpoint()
    receiver.shutdown()
    receiver.server_close()
    host.partner.create()
    host.deliver()
    (attempt,) = fetch_rows(host.app, "attempts")
    assert (attempt["status"], attempt["error"]) == (None, "No connection could be made: Connection refused.")


def test_two_workers_deliver_each_event_once(host: Host) -> None:
    receiver = host.endpoint()
    for _ in range(50):
        host.partner.create()
    publish_all(host.storage)
    workers = [threading.Thread(target=host.deliver) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(receiver.ids) == len(set(receiver.ids)) == 50


def test_a_body_that_would_be_too_large_says_so(host: Host) -> None:
    receiver = host.endpoint()
    tenant = host.partner.create(metadata={f"key-{n}": "x" * 500 for n in range(50)})
    host.deliver()
    (event,) = receiver.taken
    assert (event["data"], event["changes"], event["truncated"]) == ({"tenant": tenant["tenant"]}, {}, True)


def test_deliveries_older_than_the_events_are_removed(host: Host) -> None:
    host.endpoint(), host.endpoint()
    host.partner.create()
    host.deliver()
    host.clock.now += 20 * DAY
    host.partner.create()
    host.deliver()
    assert (len(fetch_rows(host.app, "deliveries")), len(fetch_rows(host.app, "attempts"))) == (4, 4)
    host.clock.now += 11 * DAY
    assert remove_old_deliveries(host.storage, 30) == 2
    assert (len(fetch_rows(host.app, "deliveries")), len(fetch_rows(host.app, "attempts"))) == (2, 2)
    assert remove_old_deliveries(host.storage, 30) == 0


def test_delivery_of_a_removed_event_is_given_up(host: Host) -> None:
    receiver = host.endpoint()
    receiver.answer = lambda event: (500, {})
    host.partner.create()
    host.deliver()
    with host.storage.engine.begin() as connection:
        connection.execute(host.storage.table("events").delete())
    host.deliver(HOUR)
    assert [(row["state"], row["due_at"]) for row in fetch_rows(host.app, "deliveries")] == [("failed", None)]
    assert len(receiver.ids) == 1


def test_one_endpoint_that_hangs_delays_no_other(host: Host) -> None:
    hanging, others = host.endpoint(), [host.endpoint() for _ in range(3)]
    released = threading.Event()
    hanging.answer = lambda event: (released.wait(20), (204, {}))[1]
    for _ in range(20):
        host.partner.create()
    worker = threading.Thread(target=host.deliver)
    worker.start()
    began = time.monotonic()
    while any(len(other.taken) < 20 for other in others):
        assert time.monotonic() - began < 20
        time.sleep(0.01)
    assert worker.is_alive(), "it still waits for the one that hangs"
    released.set()
    worker.join()


@pytest.mark.parametrize(("status", "kept"), [(200, 1024), (500, 8192)])
def test_successful_attempt_stores_less_than_a_failed_one(host: Host, status: int, kept: int) -> None:
    receiver = host.endpoint()
    receiver.status_text = (status, "\u00e9" * 8192)
    host.partner.create()
    host.deliver()
    (attempt,) = fetch_rows(host.app, "attempts")
    assert (attempt["status"], len(attempt["answer"].encode())) == (status, kept)


def test_answers_from_the_operator_s_network_are_for_administrators(host: Host) -> None:
    """A partner who names a server inside does not read what that server answers."""
    receiver = host.endpoint()
    receiver.status_text = (200, "root:x:0:0")
    host.partner.create()
    host.deliver()
    (delivery,) = fetch_rows(host.app, "deliveries")
    admin = Caller(host.app, "host", ["provisioning-admin"])
    seen = [
        [attempt["answer"] for attempt in caller("GET", f"/deliveries/{delivery['id']}").get_json()["history"]]
        for caller in (host.partner, admin)
    ]
    assert seen == [[None], ["root:x:0:0"]]


class SlowSender:
    """A sender whose every response takes a fixed number of seconds on the clock, without real waiting."""

    def __init__(self, latency: float) -> None:
        self.latency, self.sent = latency, 0

    def post(self, url: str, headers: dict[str, str], body: bytes) -> ReceiverResponse:
        self.sent += 1
        return ReceiverResponse(204, None, "", self.latency)


@pytest.mark.parametrize(("latency", "sent"), [(SLOW_SECONDS, 2), (SLOW_SECONDS - 0.01, 6)])
def test_a_slow_endpoint_gives_way_after_a_batch(
    host: Host, monkeypatch: pytest.MonkeyPatch, latency: float, sent: int
) -> None:
    """Remaining deliveries are due at once, for any worker."""
    monkeypatch.setattr("flask_tenant_provisioning.webhooks.delivery.BATCH_SIZE", 2)
    host.endpoint()
    for _ in range(6):
        host.partner.create()
    publish_all(host.storage)
    sender: Any = SlowSender(latency)
    work = DeliveryWork(host.storage, sender, lambda _endpoint, _now: [signing_key(SECRET)], lease=30)
    (endpoint,) = work.claim(32)
    work.run(endpoint)

    assert sender.sent == sent
    assert (host.webhook["leased_until"], host.webhook["due_at"] is None) == (None, sent == 6)
    assert len(work.claim(32)) == (0 if sent == 6 else 1)
