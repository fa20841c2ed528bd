"""Every statement about what is to be delivered, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, bindparam, case, func, literal, null, or_, select

from ..database import SQL, Storage, incoming, renewed
from .models import Delivery, Endpoint

#: The columns of an event that its body is made of.
EVENT = (
    "id", "partner_id", "type", "timestamp", "tenant_id", "request_id", "actor_subject", "actor_partner",
    "data", "changes",
)  # fmt: skip


class DeliverySQL(SQL):
    """The statements of one storage. Many rows come as `incoming` does."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._webhooks, self._deliveries = storage.table("webhooks"), storage.table("deliveries")
        self._attempts, self._events = storage.table("attempts"), storage.table("events")
        w, d = self._webhooks.c, self._deliveries.c
        self._now: Any = bindparam("now", type_=w.due_at.type)
        self._limit: Any = bindparam("limit", type_=Integer)
        self._partner: Any = bindparam("partner_id", type_=w.partner_id.type)
        self._mine = and_(w.partner_id == self._partner, w.id == bindparam("id", type_=w.id.type))
        self._to_mine = and_(d.partner_id == self._partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type))
        self._of_followers()
        self._of_claims()
        self._of_rounds()
        self._of_retention()

    def _of_followers(self) -> None:
        """Who follows the feed, what has got its place there, and what becomes of it."""
        w, e = self._webhooks.c, self._events.c
        self.following = self._compiled(select(w.id, w.events).where(w.partner_id == self._partner, w.enabled == 1))
        after, upto = bindparam("after", type_=BigInteger), bindparam("upto", type_=BigInteger)
        published = select(e.id, e.tenant_id, e.type, e.position).where(e.partner_id == self._partner)
        places = and_(e.position > after, e.position <= upto)
        self.published = self._compiled(published.where(places).order_by(e.position))
        self.add = self._compiled(self._added())
        sooner = case((w.due_at < self._now, w.due_at), else_=self._now)
        awake = self._webhooks.update().where(self._mine).values(due_at=func.coalesce(sooner, self._now))
        self.awake = self._compiled(awake)

    def _added(self) -> Any:
        """Deliveries of events to one endpoint, due now."""
        d = self._deliveries.c
        given = self._incoming(d, "id", "event_id", "tenant_id", "position")
        same = {
            "partner_id": self._partner,
            "webhook_id": bindparam("id", type_=d.webhook_id.type),
            "state": literal("pending"),
            "attempts": literal(0),
            "resent": literal(0),
            "due_at": self._now,
            "created_at": self._now,
        }
        return self._deliveries.insert().from_select([*given.c.keys(), *same], select(*given.c, *same.values()))

    def _of_claims(self) -> None:
        """Who works for an endpoint."""
        w = self._webhooks.c
        free, rows = _free(w, self._now), select(*(w[name] for name in Endpoint._fields))
        rank = func.row_number().over(partition_by=w.partner_id, order_by=w.due_at).label("rank")
        ranked = select(w.partner_id, w.id, w.fence, w.due_at, rank).where(free).subquery("ranked").c
        found = select(ranked.partner_id, ranked.id, ranked.fence).order_by(ranked.rank, ranked.due_at)
        self.free = self._compiled(found.limit(self._limit))
        seen = and_(self._mine, w.fence == bindparam("seen", type_=Integer), free)
        lease = bindparam("lease", type_=w.leased_until.type)
        owned = and_(self._mine, w.fence == bindparam("fence", type_=Integer))
        self.claim = self._compiled(self._webhooks.update().where(seen).values(fence=w.fence + 1, leased_until=lease))
        self.renew = self._compiled(self._webhooks.update().where(owned).values(leased_until=lease))
        self.read = self._compiled(rows.where(self._mine))
        self.hold = self._compiled(rows.where(owned).with_for_update())
        self.rest = self._compiled(self._webhooks.update().where(owned).values(renewed(w, _RESTED)))

    def _of_rounds(self) -> None:
        """What is due for an endpoint, and what came of it."""
        d, e, a = self._deliveries.c, self._events.c, self._attempts.c
        joined = self._deliveries.outerjoin(self._events, and_(e.partner_id == d.partner_id, e.id == d.event_id))
        columns = *(d[name] for name in Delivery._fields), *(e[name].label(f"event_{name}_") for name in EVENT)
        due = select(*columns).select_from(joined).where(self._to_mine, d.due_at <= self._now)
        self.due = self._compiled(due.order_by(d.due_at, d.position).limit(self._limit))
        pending = select(d.due_at).where(self._to_mine, d.due_at.is_not(None))
        self.next = self._compiled(pending.order_by(d.due_at).limit(1))
        given = self._incoming(a, *(column.name for column in a if column.name != "partner_id"))
        attempted = select(*given.c, self._partner)
        self.attempt = self._compiled(self._attempts.insert().from_select([*given.c.keys(), "partner_id"], attempted))
        given = self._incoming(d, "id", *_SETTLED)
        one = and_(d.partner_id == self._partner, d.id == given.c.id)
        self.settle = self._compiled(self._deliveries.update().where(one).values({n: given.c[n] for n in _SETTLED}))

    def _of_retention(self) -> None:
        """What is removed, and of whom."""
        w, d, a = self._webhooks.c, self._deliveries.c, self._attempts.c
        of_one = and_(a.partner_id == self._partner, a.delivery_id == bindparam("delivery_id", type_=d.id.type))
        self.remove_attempts = self._compiled(self._attempts.delete().where(of_one))
        answered = self._attempts.update().where(of_one, a.answer.is_not(None))
        self.erase_answers = self._compiled(answered.values(answer=null()))
        of_tenant = d.tenant_id == bindparam("tenant_id", type_=d.tenant_id.type)
        further = and_(d.partner_id == self._partner, of_tenant, d.id > bindparam("after", type_=d.id.type))
        self.of_tenant = self._compiled(select(d.id).where(further).order_by(d.id).limit(self._limit))
        one = and_(d.partner_id == self._partner, d.id == bindparam("delivery_id", type_=d.id.type))
        self.remove = self._compiled(self._deliveries.delete().where(one))
        older = d.created_at < bindparam("before", type_=d.created_at.type)
        self.old = self._compiled(select(d.id).where(self._to_mine, older).order_by(d.id).limit(self._limit))
        later = and_(w.partner_id == self._partner, w.id > bindparam("id", type_=w.id.type))
        behind = select(w.partner_id, w.id).where(or_(w.partner_id > self._partner, later))
        self.endpoints = self._compiled(behind.order_by(w.partner_id, w.id).limit(self._limit))

    def _incoming(self, columns: Any, *names: str) -> Any:
        return incoming(self._dialect, **{name: columns[name].type for name in names})


_SETTLED = ("state", "attempts", "due_at", "finished_at")
_RESTED = (
    "enabled",
    "disabled_reason",
    "failing_since",
    "failures",
    "rests_until",
    "due_at",
    "leased_until",
    "fence",
    "version",
    "updated_at",
)


def _over(column: ColumnElement[Any], now: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _free(w: Any, now: Any) -> ColumnElement[bool]:
    return and_(w.enabled == 1, w.due_at <= now, _over(w.rests_until, now), _over(w.leased_until, now))


def endpoints_are_due(storage: Storage) -> ColumnElement[bool]:
    """Whether anything is due for an endpoint that nobody works for, at the instant `now`."""
    webhooks = storage.table("webhooks")
    now = bindparam("now", type_=webhooks.c.due_at.type)
    return select(webhooks.c.id).where(_free(webhooks.c, now)).exists()
