"""Measure the webhooks a second that one worker delivers, beside `http.client` alone in the same run.

    python -m tests.bench.webhooks --db postgresql://root@127.0.0.1:5432/bench --events 6000 --endpoints 3

Every delivery is whole: its event gets its place, it is claimed, signed, sent and written down with its attempt. The
sink is another process, which answers 200 to each request without a look at it. The database is to be empty.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from sqlalchemy import create_engine, func, make_url, select

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.database.migration import upgrade
from flask_tenant_provisioning.database.session import Session, Storage
from flask_tenant_provisioning.events.actions import build_event, record_event
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.tables import build_metadata
from flask_tenant_provisioning.webhooks.client.sender import Sender
from flask_tenant_provisioning.webhooks.client.ssrf import SsrfGuard
from flask_tenant_provisioning.webhooks.delivery import DeliveryWork
from flask_tenant_provisioning.webhooks.fanout import create_deliveries
from flask_tenant_provisioning.webhooks.signing import new_secret, signing_key
from flask_tenant_provisioning.workers.worker import Worker
from tests.bench.sending import bare, rate, sink

TENANT: dict[str, Any] = {
    "external_id": None, "client_name": "Example Corp", "email": "admin@example.com", "phone_number": "+1234567890",
    "industry": "Technology", "plan": None, "metadata": {}, "status": "active", "suspended_reason": None, "version": 1,
    "created_at": "2025-02-10T16:30:00.000Z", "updated_at": "2025-02-10T16:30:00.000Z", "deleted_at": None,
    "purge_at": None,
}  # fmt: skip


@contextlib.contextmanager
def open_storage(url: str) -> Iterator[Storage]:
    """The tables at `url`."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if "postgres" in url else url)
    upgrade(engine, "provisioning_")
    yield Storage(engine, build_metadata(), publish_reactions=(create_deliveries,))
    engine.dispose()


def endpoint(storage: Storage, url: str) -> None:
    """An endpoint for every event."""
    at = format_instant(storage.clock())
    row = {
        "partner_id": "acme", "id": storage.new_id(), "url": url, "description": None, "events": json.dumps(["*"]),
        "signing": "v1", "secrets": "[]", "enabled": 1, "disabled_reason": None, "version": 1, "created_at": at,
        "updated_at": at, "failing_since": None, "failures": 0, "rests_until": None, "due_at": None,
        "leased_until": None, "fence": 0,
    }  # fmt: skip
    with storage.engine.begin() as connection:
        connection.execute(storage.table("webhooks").insert(), row)


def write(storage: Storage, count: int) -> None:
    """So many events of as many tenants."""

    def unit(session: Session) -> None:
        for _ in range(count):
            document = {"tenant": storage.new_id(), "partner": "acme", **TENANT}
            at = format_instant(storage.clock())
            actor = Actor(Principal("someone", "acme"))
            record_event(session, build_event(storage, actor, "tenant.created", "acme", document, at))

    storage.transaction(unit)


def deliver_all(storage: Storage, sender: Sender) -> float:
    """Seconds that a worker takes for everything that is due, publishing included."""
    key = signing_key(new_secret())
    work = DeliveryWork(storage, sender, lambda _endpoint, _now: [key], lease=30)
    began = time.monotonic()
    publish_all(storage)
    Worker(work).drain()
    return time.monotonic() - began


def count_succeeded(storage: Storage) -> int:
    """Return the number of succeeded deliveries."""
    deliveries = storage.table("deliveries")
    with storage.engine.connect() as connection:
        return connection.scalar(select(func.count()).where(deliveries.c.state == "succeeded")) or 0


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--endpoints", type=int, default=3)
    arguments: Any = parser.parse_args()
    sender = Sender(SsrfGuard(["http"], [], [ip_network("127.0.0.0/8")]))
    with sink() as port, open_storage(arguments.db) as storage, contextlib.closing(sender):
        for _ in range(arguments.endpoints):
            endpoint(storage, f"http://127.0.0.1:{port}/hook")
        write(storage, 200)
        deliver_all(storage, sender)
        write(storage, arguments.events)
        floor = rate(bare(port), 8, 2)
        seconds = deliver_all(storage, sender)
        count = count_succeeded(storage) - 200 * arguments.endpoints
        assert count == arguments.events * arguments.endpoints, f"{count} were taken"
        print(f"http.client {floor:8,.0f} POST/s")
        print(f"deliveries  {count / seconds:8,.0f} /s  ({count:,} in {seconds:.1f} s)")


if __name__ == "__main__":
    main()
