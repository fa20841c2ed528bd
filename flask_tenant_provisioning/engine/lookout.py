"""Whether a worker has anything to do, by one question however many kinds of work there are."""

from __future__ import annotations

from sqlalchemy import or_, select

from ..database import Session, Statement, Storage, instant
from ..events.statements import waits
from ..steps.statements import steps_are_due
from ..webhooks.delivery_statements import endpoints_are_due


class LookoutSQL:
    """The statement of one storage."""

    def __init__(self, storage: Storage) -> None:
        anything = or_(steps_are_due(storage), waits(storage), endpoints_are_due(storage))
        self.anything = Statement(select(anything), storage.engine.dialect)


class Lookout:
    """Looks at the tables of one mount."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self) -> bool:
        """Whether a step or an endpoint is due, or an event waits for its place."""
        return self._storage.read(_anything)


def _anything(session: Session) -> bool:
    now = {"now": instant(session.storage.clock())}
    return bool(session.run(session.storage.once(LookoutSQL).anything, now).fetchone()[0])
