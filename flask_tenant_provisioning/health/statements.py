"""How much waits for a worker, and since when, by one question however many kinds of work there are."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select, union_all

from ..database import Session, Statement, Storage, instant
from ..events.statements import waiting_events
from ..steps.statements import due_steps
from ..webhooks.backlog import due_deliveries

#: Of each kind no more is looked at: nobody waits long for the answer, however much is due.
MOST = 10_000


class Lag(NamedTuple):
    """How much waits, and since when the first of it does; None where nothing waits."""

    due: int
    since: str | None


class HealthSQL:
    """The statement of one storage."""

    def __init__(self, storage: Storage) -> None:
        kinds = (kind(storage).limit(MOST).subquery() for kind in (due_steps, due_deliveries, waiting_events))
        counted = (select(func.count(), func.min(kind.c.since)) for kind in kinds)
        self.lag = Statement(union_all(*counted), storage.engine.dialect)


def lag(session: Session) -> Lag:
    """How far behind the workers are, with steps, deliveries and events."""
    now = {"now": instant(session.storage.clock())}
    found = session.run(session.storage.once(HealthSQL).lag, now).fetchall()
    return Lag(sum(due for due, _ in found), min((since for _, since in found if since is not None), default=None))
