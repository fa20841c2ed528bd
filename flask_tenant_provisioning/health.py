"""The health of the service: whether the database answers and whether the workers keep up."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from flask import Response
from marshmallow import fields, validate
from sqlalchemy import func, literal_column, select, union_all

from .access.guard import PUBLIC
from .database.ids import format_instant
from .database.session import Session, Storage
from .database.statements import Statement
from .errors import InvalidParameter, StorageUnavailable
from .validation import StrictSchema, describe
from .web.parameters import NoQuery
from .web.request import Request
from .web.routing import Routes
from .workers.kinds import WORK_KINDS


class DatabaseHealthSchema(StrictSchema):
    """The database: the time of its response in milliseconds, and `read-only` while it refuses writes."""

    status = fields.String(
        validate=validate.OneOf(("ok", "read-only")),
        metadata=describe("`read-only` while the database refuses writes."),
    )
    latency_ms = fields.Float(metadata=describe("The time that the database took to answer, in milliseconds.", 1.4))


class WorkerHealthSchema(StrictSchema):
    """The backlog of the workers, all kinds of work together (steps, deliveries, bulk jobs, events without a position
    in the feed): the number of due items, and the age of the oldest in seconds.
    """

    status = fields.String(
        validate=validate.OneOf(("ok", "late")),
        metadata=describe("`late` if the oldest due work has waited for more than 60 seconds."),
    )
    due = fields.Integer(metadata=describe("The number of due items of work of all kinds.", 3))
    lag_seconds = fields.Float(metadata=describe("How long the oldest due work has waited, in seconds.", 0.2))


class HealthSchema(StrictSchema):
    """`degraded` if the workers are late or the database is read-only. An unreachable database is a problem document
    (503).
    """

    status = fields.String(
        validate=validate.OneOf(("ok", "degraded")),
        metadata=describe("`degraded` if the workers are late or the database refuses writes."),
    )
    database = fields.Nested(DatabaseHealthSchema)
    worker = fields.Nested(WorkerHealthSchema)


routes = Routes()


@routes.add(
    "GET",
    "/health",
    permissions=PUBLIC,
    always_public=True,
    responses={200: HealthSchema},
    problems=(InvalidParameter, StorageUnavailable),
)
def read_health(call: Request) -> Response:
    """Report whether the database responds and whether the workers keep up."""
    call.query(NoQuery)
    return call.json_response(check_health(call.mount.storage))


#: Workers are late if the oldest due work is older than this, in seconds.
LATE_SECONDS = 60.0


def check_health(storage: Storage, stopwatch: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Return the health of one mount. Raises `StorageUnavailable` if the database does not respond."""
    started = stopwatch()
    backlog = read_backlog(storage)
    latency = (stopwatch() - started) * 1000
    due, lag = sum(due for due, _ in backlog.values()), max(lag for _, lag in backlog.values())
    is_late, is_writable = lag > LATE_SECONDS, storage.takes_writes()
    return {
        "status": "degraded" if is_late or not is_writable else "ok",
        "database": {"status": "ok" if is_writable else "read-only", "latency_ms": round(latency, 1)},
        "worker": {"status": "late" if is_late else "ok", "due": due, "lag_seconds": round(lag, 1)},
    }


def read_backlog(storage: Storage) -> dict[str, tuple[int, float]]:
    """Return by kind of work how many items are due, and the age of the oldest in seconds."""
    now = storage.clock()
    return {name: (lag.due, _get_age(lag.since, now)) for name, lag in storage.read(read_lag).items()}


def _get_age(since: str | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - datetime.fromisoformat(since).timestamp())


#: The maximum number of items counted of each kind, which limits the time of a health check.
MAX_COUNTED = 10_000


class Lag(NamedTuple):
    """The number of due items, and the time of the oldest; None if nothing is due."""

    due: int
    since: str | None


class HealthSQL:
    """The backlog query of one storage."""

    def __init__(self, storage: Storage) -> None:
        counts: list[Any] = []
        for index, kind in enumerate(WORK_KINDS):
            waiting = kind.select_waiting(storage).limit(MAX_COUNTED).subquery()
            counts.append(select(literal_column(str(index)), func.count(), func.min(waiting.c.since)))
        self.lag = Statement(union_all(*counts), storage.engine.dialect)


def read_lag(session: Session) -> dict[str, Lag]:
    """Return the backlog of each kind of work, by its name."""
    now = {"now": format_instant(session.storage.clock())}
    rows = session.run(session.storage.once(HealthSQL).lag, now).fetchall()
    return {WORK_KINDS[index].name: Lag(due, since) for index, due, since in sorted(rows)}
