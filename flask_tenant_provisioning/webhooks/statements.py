"""SQL statements about endpoints, deliveries and attempts."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    func,
    literal,
    null,
    or_,
    select,
)

from ..database.session import Storage
from ..database.statements import SQL, Statement, bind_columns, bind_new_values, select_incoming
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
        self.insert = self._compile(self._webhooks.insert().values(bind_columns(self._webhooks)))
        self.count = self._compile(select(func.count()).where(w.partner_id == self._partner))
        self.read = self._compile(rows.where(mine))
        self.read_of_any_partner = self._compile(rows.where(w.id == self._id))
        self.lock = self._compile(rows.where(mine).with_for_update())
        self.remove = self._compile(self._webhooks.delete().where(mine))
        now: Any = bindparam("now", type_=w.due_at.type)
        sooner = case((w.due_at < now, w.due_at), else_=now)
        self.awake = self._compile(self._webhooks.update().where(mine).values(due_at=sooner, rests_until=null()))
        self._compile_deliveries(storage)

    def _compile_deliveries(self, storage: Storage) -> None:
        d, attempts, events = self._deliveries.c, storage.table("attempts"), storage.table("events")
        a, e = attempts.c, events.c
        of_one = and_(d.partner_id == self._partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type))
        rows, one = select(*(d[name] for name in Delivery._fields)), d.id == self._id
        self.add = self._compile(self._deliveries.insert().values(bind_columns(self._deliveries)))
        self.has_pending = self._compile(select(d.id).where(of_one, d.due_at.is_not(None)).limit(1))
        self.delivery = self._compile(rows.where(d.partner_id == self._partner, one))
        # One probe of the key for each partner who has an endpoint: no index is kept for it.
        self.delivery_of_any_partner = self._compile(
            rows.where(d.partner_id.in_(select(self._webhooks.c.partner_id)), one)
        )
        due = bind_new_values(d, ("state", "resent", "due_at"))
        again = self._deliveries.update().where(d.partner_id == self._partner, one)
        self.resend = self._compile(again.values({**due, "finished_at": null()}))
        history = select(*(a[name] for name in Attempt._fields))
        of_delivery = and_(a.partner_id == self._partner, a.delivery_id == bindparam("id", type_=a.delivery_id.type))
        self.history = self._compile(history.where(of_delivery).order_by(a.number))
        theirs = a.delivery_id.in_(select(d.id).where(of_one))
        self.remove_attempts = self._compile(attempts.delete().where(a.partner_id == self._partner, theirs))
        self.remove_deliveries = self._compile(self._deliveries.delete().where(of_one))
        self.settled = self._compile(select(d.event_id).where(of_one, d.state != "failed"))
        since = e.timestamp >= bindparam("since", type_=e.timestamp.type)
        after = e.position > bindparam("after", type_=BigInteger)
        self.happened = self._compile(
            select(e.id, e.tenant_id, e.type, e.position)
            .where(e.partner_id == self._partner, after, since)
            .order_by(e.position)
            .limit(_limit_parameter())
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
        return rows.order_by(w.id).limit(_limit_parameter())

    def _deliveries_page(self, in_state: bool, after: bool) -> Any:
        d = self._deliveries.c
        rows: Select[Any] = select(*(d[name] for name in Delivery._fields)).where(
            d.partner_id == self._partner, d.webhook_id == bindparam("webhook_id", type_=d.webhook_id.type)
        )
        if in_state:
            rows = rows.where(d.state == bindparam("state", type_=d.state.type))
        if after:
            rows = rows.where(d.id < bindparam("after", type_=d.id.type))
        return rows.order_by(d.id.desc()).limit(_limit_parameter())

    def _change(self, columns: tuple[str, ...]) -> Any:
        w = self._webhooks.c
        one = and_(w.partner_id == self._partner, w.id == self._id, w.version == bindparam("expected", type_=Integer))
        return self._webhooks.update().where(one).values(bind_new_values(w, columns))


def _limit_parameter() -> Any:
    return bindparam("limit", type_=Integer)


#: The columns of an event that its body is made of.
EVENT_COLUMNS = (
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
        self._compile_fanout()
        self._compile_claims()
        self._compile_rounds()
        self._compile_retention()

    def _compile_fanout(self) -> None:
        """Who follows the feed, what has got its place there, and what becomes of it."""
        w, e = self._webhooks.c, self._events.c
        self.following = self._compile(select(w.id, w.events).where(w.partner_id == self._partner, w.enabled == 1))
        after, upto = bindparam("after", type_=BigInteger), bindparam("upto", type_=BigInteger)
        published = select(e.id, e.tenant_id, e.type, e.position).where(e.partner_id == self._partner)
        places = and_(e.position > after, e.position <= upto)
        self.published = self._compile(published.where(places).order_by(e.position))
        self.add = self._compile(self._added())
        sooner = case((w.due_at < self._now, w.due_at), else_=self._now)
        awake = self._webhooks.update().where(self._mine).values(due_at=func.coalesce(sooner, self._now))
        self.awake = self._compile(awake)

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

    def _compile_claims(self) -> None:
        """Who works for an endpoint."""
        w = self._webhooks.c
        free, rows = _is_free(w, self._now), select(*(w[name] for name in Endpoint._fields))
        rank = func.row_number().over(partition_by=w.partner_id, order_by=w.due_at).label("rank")
        ranked = select(w.partner_id, w.id, w.fence, w.due_at, rank).where(free).subquery("ranked").c
        found = select(ranked.partner_id, ranked.id, ranked.fence).order_by(ranked.rank, ranked.due_at)
        self.free = self._compile(found.limit(self._limit))
        seen = and_(self._mine, w.fence == bindparam("seen", type_=Integer), free)
        lease = bindparam("lease", type_=w.leased_until.type)
        owned = and_(self._mine, w.fence == bindparam("fence", type_=Integer))
        self.claim = self._compile(self._webhooks.update().where(seen).values(fence=w.fence + 1, leased_until=lease))
        self.renew = self._compile(self._webhooks.update().where(owned).values(leased_until=lease))
        self.read = self._compile(rows.where(self._mine))
        self.hold = self._compile(rows.where(owned).with_for_update())
        self.rest = self._compile(
            self._webhooks.update().where(owned).values(bind_new_values(w, _ENDPOINT_STATE_COLUMNS))
        )

    def _compile_rounds(self) -> None:
        """What is due for an endpoint, and what came of it."""
        d, e, a = self._deliveries.c, self._events.c, self._attempts.c
        joined = self._deliveries.outerjoin(self._events, and_(e.partner_id == d.partner_id, e.id == d.event_id))
        columns = *(d[name] for name in Delivery._fields), *(e[name].label(f"event_{name}_") for name in EVENT_COLUMNS)
        due = select(*columns).select_from(joined).where(self._to_mine, d.due_at <= self._now)
        self.due = self._compile(due.order_by(d.due_at, d.position).limit(self._limit))
        pending = select(d.due_at).where(self._to_mine, d.due_at.is_not(None))
        self.next = self._compile(pending.order_by(d.due_at).limit(1))
        given = self._incoming(a, *(column.name for column in a if column.name != "partner_id"))
        attempted = select(*given.c, self._partner)
        self.attempt = self._compile(self._attempts.insert().from_select([*given.c.keys(), "partner_id"], attempted))
        given = self._incoming(d, "id", *_OUTCOME_COLUMNS)
        one = and_(d.partner_id == self._partner, d.id == given.c.id)
        self.settle = self._compile(
            self._deliveries.update().where(one).values({n: given.c[n] for n in _OUTCOME_COLUMNS})
        )

    def _compile_retention(self) -> None:
        """What is removed, and of whom."""
        w, d, a = self._webhooks.c, self._deliveries.c, self._attempts.c
        of_one = and_(a.partner_id == self._partner, a.delivery_id == bindparam("delivery_id", type_=d.id.type))
        self.remove_attempts = self._compile(self._attempts.delete().where(of_one))
        answered = self._attempts.update().where(of_one, a.answer.is_not(None))
        self.erase_answers = self._compile(answered.values(answer=null()))
        of_tenant = d.tenant_id == bindparam("tenant_id", type_=d.tenant_id.type)
        further = and_(d.partner_id == self._partner, of_tenant, d.id > bindparam("after", type_=d.id.type))
        self.of_tenant = self._compile(select(d.id).where(further).order_by(d.id).limit(self._limit))
        one = and_(d.partner_id == self._partner, d.id == bindparam("delivery_id", type_=d.id.type))
        self.remove = self._compile(self._deliveries.delete().where(one))
        older = d.created_at < bindparam("before", type_=d.created_at.type)
        self.old = self._compile(select(d.id).where(self._to_mine, older).order_by(d.id).limit(self._limit))
        later = and_(w.partner_id == self._partner, w.id > bindparam("id", type_=w.id.type))
        behind = select(w.partner_id, w.id).where(or_(w.partner_id > self._partner, later))
        self.endpoints = self._compile(behind.order_by(w.partner_id, w.id).limit(self._limit))

    def _incoming(self, columns: Any, *names: str) -> Any:
        return select_incoming(self._dialect, **{name: columns[name].type for name in names})


_OUTCOME_COLUMNS = ("state", "attempts", "due_at", "finished_at")
_ENDPOINT_STATE_COLUMNS = (
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


def _has_passed(column: ColumnElement[Any], now: Any) -> ColumnElement[bool]:
    return or_(column.is_(None), column <= now)


def _is_free(w: Any, now: Any) -> ColumnElement[bool]:
    return and_(w.enabled == 1, w.due_at <= now, _has_passed(w.rests_until, now), _has_passed(w.leased_until, now))


def has_due_endpoints(storage: Storage) -> ColumnElement[bool]:
    """Whether anything is due for an endpoint that nobody works for, at the instant `now`."""
    webhooks = storage.table("webhooks")
    now = bindparam("now", type_=webhooks.c.due_at.type)
    return select(webhooks.c.id).where(_is_free(webhooks.c, now)).exists()


def select_due_deliveries(storage: Storage) -> Select[Any]:
    """Since when a worker could have sent each delivery that is due at the instant `now`, as `since`.

    Those to an endpoint that rests, is disabled, or has a worker are left out: none of these is late by itself. Once a
    rest is over, the time counts from then on.
    """
    webhooks, deliveries = storage.table("webhooks"), storage.table("deliveries")
    w, d = webhooks.c, deliveries.c
    now: Any = bindparam("now", type_=w.due_at.type)
    theirs = and_(d.partner_id == w.partner_id, d.webhook_id == w.id, d.due_at <= now)
    since = case((w.rests_until > d.due_at, w.rests_until), else_=d.due_at)
    has_no_worker = or_(w.leased_until.is_(None), w.leased_until <= now)
    found = select(since.label("since")).select_from(webhooks.join(deliveries, theirs))
    return found.where(w.enabled == 1, w.due_at <= now, since <= now, has_no_worker)
