"""Whether there is anything to do, by one question however many kinds of work there are."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from ..bulk.statements import jobs_are_due
from ..database import Session, Statement, Storage, instant
from ..events.statements import waits
from ..steps.statements import steps_are_due
from ..webhooks.delivery_statements import endpoints_are_due


class LookoutSQL:
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        webhooks, due = storage.table("webhooks"), endpoints_are_due(storage)
        somebody = select(webhooks.c.id).where(webhooks.c.enabled == 1).exists()
        anything = or_(steps_are_due(storage), waits(storage), due, jobs_are_due(storage))
        self.anything = Statement(select(anything), storage.engine.dialect)
        self.for_webhooks = Statement(select(or_(due, and_(waits(storage), somebody))), storage.engine.dialect)


class Lookout:
    """Looks at the tables of one mount."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self) -> bool:
        """Whether a step, an endpoint or a bulk job is due, or an event waits for its place."""
        return self._storage.read(lambda session: _asked(session, session.storage.once(LookoutSQL).anything))

    def for_webhooks(self) -> bool:
        """Whether an endpoint is due, or an event waits for its place while there is an endpoint to tell of it."""
        return self._storage.read(lambda session: _asked(session, session.storage.once(LookoutSQL).for_webhooks))


def _asked(session: Session, statement: Statement) -> bool:
    now = {"now": instant(session.storage.clock())}
    return bool(session.run(statement, now).fetchone()[0])
