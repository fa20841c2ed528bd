"""Check that the tables hold what a bulk bench sent: each row once, whole, with its event."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Select, select

from flask_tenant_provisioning.database.session import Storage
from tests.bench.bulk_rows import row

_SENT = ("external_id", "client_name", "email", "phone_number", "industry", "plan", "metadata")
_HIDDEN = ("email_key", "name_key", "live", "version", "status")
_KEPT = ("id", *_SENT, *_HIDDEN)


def check_rows(storage: Storage, count: int) -> None:
    """Each of so many rows is one tenant and its event, and there are no others of either."""
    seen = bytearray(count)
    with contextlib.closing(_tenants(storage)) as tenants, contextlib.closing(_events(storage)) as events:
        for tenant, event in zip(tenants, events, strict=True):
            seen[_check_row(tenant, event)] += 1
    assert seen == b"\1" * count, f"{seen.count(0)} rows are missing, {count - seen.count(0) - seen.count(1)} are twice"


def _tenants(storage: Storage) -> Generator[dict[str, Any], None, None]:
    tenants = storage.table("tenants").c
    for values in _iter_rows(storage, select(*(tenants[name] for name in _KEPT)), tenants.id):
        tenant = dict(zip(_KEPT, values, strict=True))
        yield tenant | {"metadata": json.loads(tenant["metadata"])}


def _events(storage: Storage) -> Generator[dict[str, Any], None, None]:
    events = storage.table("events").c
    wanted = select(events.type, events.tenant_id, events.data).where(events.tenant_id.is_not(None))
    for kind, tenant, data in _iter_rows(storage, wanted, events.tenant_id):
        yield json.loads(data) | {"type": kind, "id": tenant}


def _iter_rows(storage: Storage, wanted: Select[Any], order: ColumnElement[Any]) -> Iterator[Any]:
    """All rows in this order, a thousand at a time, however long they take."""
    engine = storage.engine
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        yield from connection.execute(wanted.order_by(order), execution_options={"yield_per": 1000})


def _check_row(tenant: dict[str, Any], event: dict[str, Any]) -> int:
    """The number of the row that has become this tenant, with this event."""
    number = int(tenant["external_id"].rpartition("-")[2])
    sent: dict[str, Any] = dict.fromkeys(_SENT) | {"metadata": {}} | row(number)
    for name, value in sent.items():
        assert tenant[name] == event[name] == value, f"row {number}: {name} is {tenant[name]!r} and {event[name]!r}"
    about = (event["type"], event["tenant"], event["id"])
    assert about == ("tenant.created", tenant["id"], tenant["id"]), f"row {number}: the event is {about}"
    hidden = (sent["email"].lower(), sent["client_name"].casefold(), 1, 1, "active")
    assert tuple(tenant[name] for name in _HIDDEN) == hidden, f"row {number}: {tenant}"
    return number


def check_counters(storage: Storage, count: int) -> None:
    """The one job has succeeded and said so, and it and its chunks have counted so many rows."""
    jobs, chunks, events = (storage.table(name) for name in ("bulk_jobs", "bulk_chunks", "events"))
    names = ("rows", "succeeded", "failed", "unchanged")
    with storage.engine.connect() as connection:
        ((state, *counted),) = connection.execute(select(jobs.c.state, *(jobs.c[name] for name in names))).all()
        event_types = connection.execute(select(events.c.type).where(events.c.tenant_id.is_(None))).scalars().all()
        parts = connection.execute(select(*(chunks.c[name] for name in names))).all()
    assert (state, counted) == ("succeeded", [count, count, 0, 0]), f"the job is {state}: {counted}"
    summed = [sum(part) for part in zip(*parts, strict=True)]
    assert summed == counted, f"the chunks count {summed}"
    assert event_types == ["bulk_job.finished"], f"events of no tenant: {event_types}"
