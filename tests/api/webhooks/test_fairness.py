"""Delivery slots are shared by partner: slow receivers of some delay no other partner."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks.fairness import SLOW_SECONDS, EndpointSlots, FreeEndpoint
from flask_tenant_provisioning.webhooks.models import EndpointKey
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.callers import Caller
from tests.support.database.rows import open_host
from tests.support.hosts import get_mount
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS


def endpoints(partner: str, count: int) -> list[FreeEndpoint]:
    return [FreeEndpoint(partner, f"{number:03}", 0) for number in range(count)]


def endpoints_of_partners(count: int) -> list[FreeEndpoint]:
    """One endpoint of each of `count` partners."""
    return [FreeEndpoint(f"partner {number}", "1", 0) for number in range(count)]


def give(slots: EndpointSlots, rows: list[FreeEndpoint], limit: int = 32) -> Counter[str]:
    """Let `rows` have slots; returns how many each partner got."""
    chosen = slots.choose(rows, limit)
    for row in chosen:
        slots.acquire(row.slot_key)
    return Counter(row.partner_id for row in chosen)


def test_a_partner_alone_has_half_of_the_slots() -> None:
    assert give(EndpointSlots(32), endpoints("a", 40)) == {"a": 16}


def test_two_partners_leave_slots_for_a_third() -> None:
    slots = EndpointSlots(32)
    assert give(slots, endpoints("a", 20)) == {"a": 16}
    assert give(slots, endpoints("b", 20)) == {"b": 8}
    assert give(slots, endpoints("a", 4) + endpoints("b", 12)) == {}
    assert give(slots, endpoints("c", 1)) == {"c": 1}


def test_partners_with_the_fewest_slots_come_first() -> None:
    taken = give(EndpointSlots(32), [*endpoints("a", 40), *endpoints("b", 40), *endpoints("c", 1)])
    assert (taken["c"], sorted((taken["a"], taken["b"]))) == (1, [10, 11])
    assert min(give(EndpointSlots(32), [*endpoints("a", 40), *endpoints("b", 2)], limit=3).values()) == 1


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_selection_fits_the_free_slots(limit: int) -> None:
    assert give(EndpointSlots(32), [*endpoints("a", 5), *endpoints("b", 5)], limit).total() == limit


def test_a_slot_that_is_given_back_is_free_again() -> None:
    slots = EndpointSlots(2)
    assert give(slots, endpoints("a", 2)) == {"a": 1}
    slots.release(EndpointKey("a", "001"), 0.1)
    assert give(slots, endpoints("a", 2)) == {"a": 1}


def slow(slots: EndpointSlots, rows: list[FreeEndpoint]) -> None:
    """Let these endpoints be known to be slow."""
    for row in rows:
        slots.acquire(row.slot_key)
        slots.release(row.slot_key, SLOW_SECONDS)


def test_slow_endpoints_of_all_partners_share_half_of_the_slots() -> None:
    slots, rows = EndpointSlots(32), endpoints_of_partners(40)
    slow(slots, rows)
    assert give(slots, rows).total() == 16
    assert give(slots, rows[16:]).total() == 0
    assert give(slots, [FreeEndpoint("partner", "fast", 0), *rows[16:]]) == {"partner": 1}


def test_the_fast_endpoints_of_a_partner_come_before_its_slow_ones() -> None:
    slots, rows = EndpointSlots(4), endpoints("a", 9)
    slow(slots, rows[:7])
    assert {row.id for row in slots.choose(rows, 32)} == {"007", "008"}


def test_an_endpoint_that_answers_fast_again_is_slow_no_more() -> None:
    slots, rows = EndpointSlots(4), endpoints_of_partners(4)
    slow(slots, rows)
    assert len(slots.choose(rows, 4)) == 2
    for row in rows:
        slots.acquire(row.slot_key)
        slots.release(row.slot_key, SLOW_SECONDS - 0.01)
    assert len(slots.choose(rows, 4)) == 4


class _Receiver(http.server.ThreadingHTTPServer):
    """Answers what comes to ``/fast`` at once, anything else when it is let go."""

    daemon_threads, request_queue_size = True, 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken = Counter[str]()
        self.changed = threading.Condition()
        self.let_go = threading.Event()

    def wait_for(self, is_so: Callable[[], bool], seconds: float = 60) -> bool:
        """Wait until it is so; whether it is."""
        with self.changed:
            return self.changed.wait_for(is_so, seconds)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Receiver

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.changed:
            self.server.taken[self.path] += 1
            self.server.changed.notify_all()
        if self.path != "/fast":
            self.server.let_go.wait(14)
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    new_receiver = _Receiver()
    threading.Thread(target=new_receiver.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield new_receiver
    new_receiver.let_go.set()
    new_receiver.shutdown()
    new_receiver.server_close()


@pytest.mark.slow
def test_slow_endpoints_do_not_delay_other_partners(
    request: pytest.FixtureRequest, database: str, receiver: _Receiver
) -> None:
    """The allowed number of 40 endpoints hang in a response: the third partner's webhook waits for none of them."""
    with open_host(request, database, **LOCAL_WEBHOOKS, PROVISIONING_WEBHOOK_LIMIT=20) as app:
        worker = make_worker(get_mount(app))
        running = threading.Thread(target=worker.run, daemon=True)

        def endpoint(caller: Caller, path: str) -> None:
            url = f"http://127.0.0.1:{receiver.server_port}{path}"
            assert caller("POST", "/webhooks", json={"url": url, "events": ["tenant.created"]}).status_code == 201

        victim, others = Caller(app), [Caller(app), Caller(app)]
        endpoint(victim, "/fast")
        for other in others:
            for number in range(20):
                endpoint(other, f"/slow/{other.partner}/{number}")
            for _ in range(4):
                other.create()
        running.start()
        assert receiver.wait_for(lambda: len(receiver.taken) >= 24)
        for _ in range(3):
            receiver.taken["/fast"] = 0
            victim.create()
            assert receiver.wait_for(lambda: receiver.taken["/fast"] == 1, 10), "it waits for those that take 14 s"
        assert not receiver.let_go.is_set()
        receiver.let_go.set()
        worker.stop()
        running.join(30)
        worker.finish(30)
