"""Every statement about what is to be delivered, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Integer, and_, bindparam, case, func, or_, select

from ..database import Statement, Storage, parameters
from .models import Delivery, Endpoint

#: The columns of an event that its body is made of.
EVENT = (
    "id", "partner_id", "type", "timestamp", "tenant_id", "request_id", "actor_subject", "actor_partner",
    "data", "changes",
)  # fmt: skip


class DeliverySQL:
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        self._dialect = storage.engine.dialect
        webhooks, deliveries = storage.table("webhooks"), storage.table("deliveries")
        attempts, events = storage.table("attempts"), storage.table("events")
        w, d, e = webhooks.c, deliveries.c, events.c
        now: Any = bindparam("now", type_=w.due_at.type)
        limit: Any = bindparam("limit", type_=Integer)
        partner: Any = bindparam("partner_id", type_=w.partner_id.type)
        mine = and_(w.partner_id == partner, w.id == bindparam("id", type_=w.id.type))
        owned = and_(mine, w.fence == bindparam("fence", type_=Integer))
        free = _free(w, now)
        rows = select(*(w[name] for name in Endpoint._fields))
        # Who follows the feed.
        self.following = self._compiled(select(w.id, w.events).where(w.partner_id == partner, w.enabled == 1))
        places = and_(
            e.position > bindparam("after", type_=BigInteger), e.position <= bindparam("upto", type_=BigInteger)
        )
        self.published = self._compiled(
            select(e.id, e.tenant_id, e.type, e.position).where(e.partner_id == partner, places).order_by(e.position)
        )
        self.add = self._compiled(deliveries.insert().values(parameters(deliveries)))
        sooner = case((w.due_at < now, w.due_at), else_=now)
        self.awake = self._compiled(webhooks.update().where(mine).values(due_at=func.coalesce(sooner, now)))
        # Who works for an endpoint.
        self.free = self._compiled(select(w.partner_id, w.id, w.fence).where(free).order_by(w.due_at).limit(limit))
        seen = and_(mine, w.fence == bindparam("seen", type_=Integer), free)
        lease = bindparam("lease", type_=w.leased_until.type)
        self.claim = self._compiled(webhooks.update().where(seen).values(fence=w.fence + 1, leased_until=lease))
        self.renew = self._compiled(webhooks.update().where(owned).values(leased_until=lease))
        self.read = self._compiled(rows.where(mine))
        self.hold = self._compiled(rows.where(owned).with_for_update())
        # What it does.
        to_one = and_(d.partner_id == partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type))
        joined = deliveries.outerjoin(events, and_(e.partner_id == d.partner_id, e.id == d.event_id))
        self.due = self._compiled(
            select(*(d[name] for name in Delivery._fields), *(e[name].label(f"event_{name}_") for name in EVENT))
            .select_from(joined)
            .where(to_one, d.due_at <= now)
            .order_by(d.due_at, d.position)
            .limit(limit)
        )
        self.next = self._compiled(select(d.due_at).where(to_one, d.due_at.is_not(None)).order_by(d.due_at).limit(1))
        self.attempt = self._compiled(attempts.insert().values(parameters(attempts)))
        one = and_(d.partner_id == partner, d.id == bindparam("delivery_id", type_=d.id.type))
        self.settle = self._compiled(deliveries.update().where(one).values(_new(d, _SETTLED)))
        a = attempts.c
        of_one = and_(a.partner_id == partner, a.delivery_id == bindparam("delivery_id", type_=a.delivery_id.type))
        self.remove_attempts = self._compiled(attempts.delete().where(of_one))
        self.remove = self._compiled(deliveries.delete().where(one))
        older = d.created_at < bindparam("before", type_=d.created_at.type)
        self.old = self._compiled(select(d.id).where(to_one, older).order_by(d.id).limit(limit))
        behind = or_(w.partner_id > partner, and_(w.partner_id == partner, w.id > bindparam("id", type_=w.id.type)))
        self.endpoints = self._compiled(
            select(w.partner_id, w.id).where(behind).order_by(w.partner_id, w.id).limit(limit)
        )
        self.rest = self._compiled(webhooks.update().where(owned).values(_new(w, _RESTED)))

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)


_SETTLED = ("state", "attempts", "due_at", "finished_at")
_RESTED = (
    "enabled",
    "disabled_reason",
    "failing_since",
    "failures",
    "rests_until",
    "due_at",
    "leased_until",
    "version",
    "updated_at",
)


def _new(columns: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: bindparam(f"new_{name}", type_=columns[name].type) for name in names}


def _over(column: ColumnElement[Any], now: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _free(w: Any, now: Any) -> ColumnElement[bool]:
    return and_(w.enabled == 1, w.due_at <= now, _over(w.rests_until, now), _over(w.leased_until, now))


def endpoints_are_due(storage: Storage) -> ColumnElement[bool]:
    """Whether anything is due for an endpoint that nobody works for, at the instant `now`."""
    webhooks = storage.table("webhooks")
    now = bindparam("now", type_=webhooks.c.due_at.type)
    return select(webhooks.c.id).where(_free(webhooks.c, now)).exists()
