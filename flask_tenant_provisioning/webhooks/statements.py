"""Every statement about endpoints, and about deliveries as their owners see them, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, Select, and_, bindparam, case, func, null, select

from ..database import SQL, Statement, Storage, parameters, renewed
from .models import Attempt, Delivery, Endpoint


class WebhookSQL(SQL):
    """The statements of one storage; those of lists and changes are compiled at their first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._webhooks, self._deliveries = storage.table("webhooks"), storage.table("deliveries")
        w = self._webhooks.c
        self._partner: Any = bindparam("partner_id", type_=w.partner_id.type)
        self._id: Any = bindparam("id", type_=w.id.type)
        mine = and_(w.partner_id == self._partner, w.id == self._id)
        rows = select(*(w[name] for name in Endpoint._fields))
        self.insert = self._compiled(self._webhooks.insert().values(parameters(self._webhooks)))
        self.count = self._compiled(select(func.count()).where(w.partner_id == self._partner))
        self.read = self._compiled(rows.where(mine))
        self.read_anyones = self._compiled(rows.where(w.id == self._id))
        self.lock = self._compiled(rows.where(mine).with_for_update())
        self.remove = self._compiled(self._webhooks.delete().where(mine))
        now: Any = bindparam("now", type_=w.due_at.type)
        sooner = case((w.due_at < now, w.due_at), else_=now)
        self.awake = self._compiled(self._webhooks.update().where(mine).values(due_at=sooner, rests_until=null()))
        self._of_deliveries(storage)

    def _of_deliveries(self, storage: Storage) -> None:
        d, attempts, events = self._deliveries.c, storage.table("attempts"), storage.table("events")
        a, e = attempts.c, events.c
        of_one = and_(d.partner_id == self._partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type))
        rows, one = select(*(d[name] for name in Delivery._fields)), d.id == self._id
        self.add = self._compiled(self._deliveries.insert().values(parameters(self._deliveries)))
        self.pends = self._compiled(select(d.id).where(of_one, d.due_at.is_not(None)).limit(1))
        self.delivery = self._compiled(rows.where(d.partner_id == self._partner, one))
        # One probe of the key for each partner who has an endpoint: no index is kept for it.
        self.anyones_delivery = self._compiled(rows.where(d.partner_id.in_(select(self._webhooks.c.partner_id)), one))
        due = renewed(d, ("state", "resent", "due_at"))
        again = self._deliveries.update().where(d.partner_id == self._partner, one)
        self.resend = self._compiled(again.values({**due, "finished_at": null()}))
        history = select(*(a[name] for name in Attempt._fields))
        of_delivery = and_(a.partner_id == self._partner, a.delivery_id == bindparam("id", type_=a.delivery_id.type))
        self.history = self._compiled(history.where(of_delivery).order_by(a.number))
        theirs = a.delivery_id.in_(select(d.id).where(of_one))
        self.remove_attempts = self._compiled(attempts.delete().where(a.partner_id == self._partner, theirs))
        self.remove_deliveries = self._compiled(self._deliveries.delete().where(of_one))
        self.settled = self._compiled(select(d.event_id).where(of_one, d.state != "failed"))
        since = e.timestamp >= bindparam("since", type_=e.timestamp.type)
        after = e.position > bindparam("after", type_=BigInteger)
        self.happened = self._compiled(
            select(e.id, e.tenant_id, e.type, e.position)
            .where(e.partner_id == self._partner, after, since)
            .order_by(e.position)
            .limit(_limit())
        )

    def page(self, *, of_partner: bool, after: bool) -> Statement:
        """A page of endpoints, the oldest first."""
        return self._once(self._page, of_partner, after)

    def deliveries(self, *, in_state: bool, after: bool) -> Statement:
        """A page of an endpoint's deliveries, the newest first."""
        return self._once(self._deliveries_page, in_state, after)

    def change(self, columns: tuple[str, ...]) -> Statement:
        """An update of just these columns of one version of one endpoint."""
        return self._once(self._change, columns)

    def _page(self, of_partner: bool, after: bool) -> Any:
        w = self._webhooks.c
        rows = select(*(w[name] for name in Endpoint._fields))
        if of_partner:
            rows = rows.where(w.partner_id == self._partner)
        if after:
            rows = rows.where(w.id > bindparam("after", type_=w.id.type))
        return rows.order_by(w.id).limit(_limit())

    def _deliveries_page(self, in_state: bool, after: bool) -> Any:
        d = self._deliveries.c
        rows: Select[Any] = select(*(d[name] for name in Delivery._fields)).where(
            d.partner_id == self._partner, d.webhook_id == bindparam("webhook_id", type_=d.webhook_id.type)
        )
        if in_state:
            rows = rows.where(d.state == bindparam("state", type_=d.state.type))
        if after:
            rows = rows.where(d.id < bindparam("after", type_=d.id.type))
        return rows.order_by(d.id.desc()).limit(_limit())

    def _change(self, columns: tuple[str, ...]) -> Any:
        w = self._webhooks.c
        one = and_(w.partner_id == self._partner, w.id == self._id, w.version == bindparam("expected", type_=Integer))
        return self._webhooks.update().where(one).values(renewed(w, columns))


def _limit() -> Any:
    return bindparam("limit", type_=Integer)
