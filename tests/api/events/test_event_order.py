"""No event is ever skipped, however transactions interleave: writers commit in any order, and readers follow."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.database.session import Session
from flask_tenant_provisioning.events.actions import build_event, record_event
from flask_tenant_provisioning.events.feed import publish_all
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import get_storage
from tests.support.events import read_feed_page
from tests.support.hosts import PREFIX
from tests.support.servers import run_concurrently, send_request, serve

WRITERS = 200


class Reader(threading.Thread):
    """Follows a feed until it is told that nothing more comes, and has read it to its end."""

    def __init__(self, caller: Caller) -> None:
        super().__init__()
        self.caller, self.finished, self.found = caller, threading.Event(), list[dict[str, Any]]()

    def run(self) -> None:
        query: dict[str, Any] = {"limit": 7}
        while True:
            is_last = self.finished.is_set()
            page = read_feed_page(self.caller, **query)
            self.found += page["items"]
            query["after"] = page["next"]
            if is_last and not page["has_more"] and not page["items"]:
                return


@pytest.fixture
def readers(make_app: Callable[..., Flask]) -> Iterator[tuple[Caller, list[Reader]]]:
    """A partner, and three readers of its feed; a publisher works beside them, as in a worker."""
    partner = Caller(make_app())
    feed_readers, stopped = [Reader(Caller(partner.app, partner.partner)) for _ in range(3)], threading.Event()

    def work() -> None:
        while not stopped.wait(0.001):
            publish_all(get_storage(partner.app))

    worker = threading.Thread(target=work)
    for thread in (worker, *feed_readers):
        thread.start()
    yield partner, feed_readers
    stopped.set()
    worker.join()


def collect_events(readers: list[Reader]) -> list[list[dict[str, Any]]]:
    """Return the events of each reader."""
    for reader in readers:
        reader.finished.set()
    for reader in readers:
        reader.join(60)
        assert not reader.is_alive()
    return [reader.found for reader in readers]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_writers_that_commit_in_any_order(readers: tuple[Caller, list[Reader]]) -> None:
    """Each writes its event, waits until its turn comes in an order of chance, and commits."""
    partner, threads = readers
    storage, rng = get_storage(partner.app), random.Random(7)
    written = set[str]()
    for _ in range(WRITERS // 10):
        turns = rng.sample(range(10), 10)
        gates = [threading.Event() for _ in range(11)]
        barrier = threading.Barrier(10, action=gates[0].set)

        def write(number: int, turns: list[int] = turns, gates: Any = gates, barrier: Any = barrier) -> str:
            row = build_event(
                storage, Actor(Principal("someone", partner.partner)), "tenant.updated", partner.partner,
                {"tenant": storage.new_id()}, format_instant(storage.clock()),
            )  # fmt: skip

            def unit(session: Session) -> None:
                record_event(session, row)
                barrier.wait(10)
                gates[turns[number]].wait(10)

            try:
                storage.transaction(unit)
            finally:
                gates[turns[number] + 1].set()
            return str(row["id"])

        written |= set(run_concurrently(10, write))
    for seen in collect_events(threads):
        assert [len(seen), {event["id"] for event in seen}] == [WRITERS, written]


def test_partners_that_write_at_once(readers: tuple[Caller, list[Reader]]) -> None:
    """Twelve clients change tenants over HTTP, some of them the same one."""
    partner, threads = readers
    shared = partner.create()

    with serve(partner.app) as address:

        def write(number: int) -> int:
            body = {"client_name": "Example", "email": f"w{number}@example.com"}
            created = send_request(address, "POST", f"{PREFIX}/tenants", partner.token, body).json()
            for step in range(8):
                for tenant in (created, shared):
                    change = {"plan": f"{number} {step}"}
                    response = send_request(address, "PATCH", PREFIX + tenant_path(tenant), partner.token, change)
                    assert response.status == 200, response.body
            return number

        assert run_concurrently(12, write) == list(range(12))
    for feed in collect_events(threads):
        assert len(feed) == len({event["id"] for event in feed}) == 1 + 12 + 12 * 8 * 2
        versions = defaultdict(list)
        for one_event in feed:
            versions[one_event["tenant"]].append(one_event["data"]["version"])
        assert all(seen == list(range(1, len(seen) + 1)) for seen in versions.values())
        assert len(versions[shared["tenant"]]) == 1 + 12 * 8
