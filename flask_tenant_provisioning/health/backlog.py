"""The work that waits for workers: how much of each kind, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, literal_column, select, union_all

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import Statement
from ..workers.kinds import WORK_KINDS

#: Workers are late if the oldest due work is older than this, in seconds.
LATE_SECONDS = 60.0
#: The maximum number of items counted of each kind, which limits the time of a health check.
MAX_COUNTED = 10_000


class Lag(NamedTuple):
    """The number of due items, and the time of the oldest; None if nothing is due."""

    due: int
    since: str | None


class BacklogSQL:
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
    rows = session.run(session.storage.once(BacklogSQL).lag, now).fetchall()
    return {WORK_KINDS[index].name: Lag(due, since) for index, due, since in sorted(rows)}


def read_backlog(storage: Storage) -> dict[str, tuple[int, float]]:
    """Return by kind of work how many items are due, and the age of the oldest in seconds."""
    now = storage.clock()
    return {name: (lag.due, _get_age(lag.since, now)) for name, lag in storage.read(read_lag).items()}


def _get_age(since: str | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - datetime.fromisoformat(since).timestamp())
