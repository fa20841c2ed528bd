"""Whether there is anything to do, by one question however many kinds of work there are."""

from __future__ import annotations

from sqlalchemy import and_, or_, select

from ..database import Session, Statement, Storage, instant
from .kinds import DELIVERIES, EVENTS, KINDS, Kind


class LookoutSQL:
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        webhooks, dialect = storage.table("webhooks"), storage.engine.dialect
        is_due = {kind: kind.is_due(storage) for kind in KINDS}
        subscribed = select(webhooks.c.id).where(webhooks.c.enabled == 1).exists()
        to_deliver = or_(is_due[DELIVERIES], and_(is_due[EVENTS], subscribed))
        self.anything = Statement(select(or_(*is_due.values())), dialect)
        self.for_webhooks = Statement(select(to_deliver), dialect)
        self.of_kind = {kind: Statement(select(condition), dialect) for kind, condition in is_due.items()}


class Lookout:
    """Looks at the tables of one mount."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __call__(self) -> bool:
        """Return whether anything is due, of whatever kind."""
        return self._storage.read(lambda session: _asked(session, session.storage.once(LookoutSQL).anything))

    def finds(self, kind: Kind) -> bool:
        """Return whether work of this kind is due."""
        return self._storage.read(lambda session: _asked(session, session.storage.once(LookoutSQL).of_kind[kind]))

    def for_webhooks(self) -> bool:
        """Whether an endpoint is due, or an event waits for its place while there is an endpoint to tell of it."""
        return self._storage.read(lambda session: _asked(session, session.storage.once(LookoutSQL).for_webhooks))


def _asked(session: Session, statement: Statement) -> bool:
    now = {"now": instant(session.storage.clock())}
    return bool(session.run(statement, now).fetchone()[0])
