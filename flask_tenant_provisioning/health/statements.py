"""How much waits for a worker, and since when, by one question however many kinds of work there are."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import func, literal_column, select, union_all

from ..database import Session, Statement, Storage, instant
from ..engine.kinds import KINDS

#: Of each kind no more is looked at: the answer comes soon, however much is due.
MOST = 10_000


class Lag(NamedTuple):
    """How much waits, and since when the first of it does; None where nothing waits."""

    due: int
    since: str | None


class HealthSQL:
    """The statement of one storage."""

    def __init__(self, storage: Storage) -> None:
        waiting = [kind.waiting(storage).limit(MOST).subquery() for kind in KINDS]
        counted: list[Any] = [
            select(literal_column(str(place)), func.count(), func.min(found.c.since))
            for place, found in enumerate(waiting)
        ]
        self.lag = Statement(union_all(*counted), storage.engine.dialect)


def lag(session: Session) -> dict[str, Lag]:
    """Return how far behind the workers are with each kind of work, by its name."""
    now = {"now": instant(session.storage.clock())}
    found = session.run(session.storage.once(HealthSQL).lag, now).fetchall()
    return {KINDS[place].name: Lag(due, since) for place, due, since in sorted(found)}
