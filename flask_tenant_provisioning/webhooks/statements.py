"""SQL statements on endpoints, deliveries and attempts."""

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
    select,
)

from ..database.lease import Lease, is_over
from ..database.pages import is_after
from ..database.session import Storage
from ..database.statements import (
    SQL,
    Statement,
    bind_columns,
    bind_new_values,
    match_key,
    match_version,
    select_incoming,
)
from .models import Attempt, Delivery, Endpoint, EventRow


class WebhookSQL(SQL):
    """The statements of the webhook API for one storage. Those of lists and updates are compiled at first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._webhooks, self._deliveries = storage.table("webhooks"), storage.table("deliveries")
        w = self._webhooks.c
        self._partner: Any = bindparam("partner_id", type_=w.partner_id.type)
        self._id: Any = bindparam("id", type_=w.id.type)
        self._limit: Any = bindparam("limit", type_=Integer)
        is_endpoint = and_(w.partner_id == self._partner, w.id == self._id)
        rows = select(*(w[name] for name in Endpoint._fields))
        self.insert = self._compile(self._webhooks.insert().values(bind_columns(self._webhooks)))
        self.count = self._compile(select(func.count()).where(w.partner_id == self._partner))
        self.read = self._compile(rows.where(is_endpoint))
        self.read_of_any_partner = self._compile(rows.where(w.id == self._id))
        self.lock = self._compile(rows.where(is_endpoint).with_for_update())
        self.delete = self._compile(self._webhooks.delete().where(is_endpoint))
        now: Any = bindparam("now", type_=w.due_at.type)
        sooner = case((w.due_at < now, w.due_at), else_=now)
        self.wake_endpoint = self._compile(
            self._webhooks.update().where(is_endpoint).values(due_at=sooner, rests_until=null())
        )
        self._compile_deliveries(storage)

    def _compile_deliveries(self, storage: Storage) -> None:
        d, attempts, events = self._deliveries.c, storage.table("attempts"), storage.table("events")
        a, e = attempts.c, events.c
        is_to_endpoint = and_(d.partner_id == self._partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type))
        rows, is_delivery = select(*(d[name] for name in Delivery._fields)), d.id == self._id
        self.insert_delivery = self._compile(self._deliveries.insert().values(bind_columns(self._deliveries)))
        self.select_pending = self._compile(select(d.id).where(is_to_endpoint, d.due_at.is_not(None)).limit(1))
        self.read_delivery = self._compile(rows.where(d.partner_id == self._partner, is_delivery))
        # One probe of the primary key per partner with an endpoint, so that no further index is needed.
        self.read_delivery_of_any_partner = self._compile(
            rows.where(d.partner_id.in_(select(self._webhooks.c.partner_id)), is_delivery)
        )
        due = bind_new_values(d, ("state", "resent", "due_at"))
        update = self._deliveries.update().where(d.partner_id == self._partner, is_delivery)
        self.requeue = self._compile(update.values({**due, "finished_at": null()}))
        history = select(*(a[name] for name in Attempt._fields))
        is_attempt = and_(a.partner_id == self._partner, a.delivery_id == bindparam("id", type_=a.delivery_id.type))
        self.read_attempts = self._compile(history.where(is_attempt).order_by(a.number))
        is_of_endpoint = a.delivery_id.in_(select(d.id).where(is_to_endpoint))
        self.delete_attempts = self._compile(attempts.delete().where(a.partner_id == self._partner, is_of_endpoint))
        self.delete_deliveries = self._compile(self._deliveries.delete().where(is_to_endpoint))
        self.select_delivered_events = self._compile(select(d.event_id).where(is_to_endpoint, d.state != "failed"))
        since = e.timestamp >= bindparam("since", type_=e.timestamp.type)
        after = e.position > bindparam("after", type_=BigInteger)
        self.select_events_since = self._compile(
            select(*(e[name] for name in EventRow._fields))
            .where(e.partner_id == self._partner, after, since)
            .order_by(e.position)
            .limit(self._limit)
        )

    def list_endpoints(self, *, of_partner: bool, after: bool) -> Statement:
        """Return the statement of a page of endpoints, the oldest first."""
        return self._once(self._build_endpoints_page, of_partner, after)

    def list_deliveries(self, *, in_state: bool, after: bool) -> Statement:
        """Return the statement of a page of an endpoint's deliveries, the newest first."""
        return self._once(self._build_deliveries_page, in_state, after)

    def update(self, columns: tuple[str, ...]) -> Statement:
        """Return the statement that updates these columns of an endpoint in the version ``expected``."""
        return self._once(self._build_update, columns)

    def _build_endpoints_page(self, of_partner: bool, after: bool) -> Any:
        w = self._webhooks.c
        rows = select(*(w[name] for name in Endpoint._fields))
        if of_partner:
            rows = rows.where(w.partner_id == self._partner)
        if after:
            rows = rows.where(w.id > bindparam("after", type_=w.id.type))
        return rows.order_by(w.id).limit(self._limit)

    def _build_deliveries_page(self, in_state: bool, after: bool) -> Any:
        d = self._deliveries.c
        rows: Select[Any] = select(*(d[name] for name in Delivery._fields)).where(
            d.partner_id == self._partner, d.webhook_id == bindparam("webhook_id", type_=d.webhook_id.type)
        )
        if in_state:
            rows = rows.where(d.state == bindparam("state", type_=d.state.type))
        if after:
            rows = rows.where(d.id < bindparam("after", type_=d.id.type))
        return rows.order_by(d.id.desc()).limit(self._limit)

    def _build_update(self, columns: tuple[str, ...]) -> Any:
        update = self._webhooks.update().where(match_version(self._webhooks))
        return update.values(bind_new_values(self._webhooks.c, columns))


#: The columns of an event that its request body is built from.
EVENT_COLUMNS = (
    "id", "partner_id", "type", "timestamp", "tenant_id", "request_id", "actor_subject", "actor_partner",
    "data", "changes", "traceparent",
)  # fmt: skip


class DeliverySQL(SQL):
    """The statements of the delivery worker for one storage. Lists of rows are passed as in `select_incoming`."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._webhooks, self._deliveries = storage.table("webhooks"), storage.table("deliveries")
        self._attempts, self._events = storage.table("attempts"), storage.table("events")
        w, d = self._webhooks.c, self._deliveries.c
        self._now: Any = bindparam("now", type_=w.due_at.type)
        self._limit: Any = bindparam("limit", type_=Integer)
        self._partner: Any = bindparam("partner_id", type_=w.partner_id.type)
        self._is_endpoint = match_key(self._webhooks, "partner_id", "id")
        self._is_to_endpoint = and_(
            d.partner_id == self._partner, d.webhook_id == bindparam("id", type_=d.webhook_id.type)
        )
        self._compile_fanout()
        self._compile_claims()
        self._compile_rounds()
        self._compile_retention()

    def _compile_fanout(self) -> None:
        """Compile the statements that turn published events into deliveries."""
        w, e = self._webhooks.c, self._events.c
        self.select_subscribers = self._compile(
            select(w.id, w.events).where(w.partner_id == self._partner, w.enabled == 1)
        )
        after, last = bindparam("after", type_=BigInteger), bindparam("last", type_=BigInteger)
        published = select(*(e[name] for name in EventRow._fields)).where(e.partner_id == self._partner)
        in_range = and_(e.position > after, e.position <= last)
        self.select_events = self._compile(published.where(in_range).order_by(e.position))
        self.insert_deliveries = self._compile(self._build_insert())
        earlier = case((w.due_at < self._now, w.due_at), else_=self._now)
        wake_endpoint = self._webhooks.update().where(self._is_endpoint)
        self.wake_endpoint = self._compile(wake_endpoint.values(due_at=func.coalesce(earlier, self._now)))

    def _build_insert(self) -> Any:
        """Build the insertion of new deliveries to one endpoint, due at the instant ``now``."""
        d = self._deliveries.c
        incoming = self._select_incoming(d, "id", "event_id", "tenant_id", "position")
        constants = {
            "partner_id": self._partner,
            "webhook_id": bindparam("id", type_=d.webhook_id.type),
            "state": literal("pending"),
            "attempts": literal(0),
            "resent": literal(0),
            "due_at": self._now,
            "created_at": self._now,
        }
        return self._deliveries.insert().from_select(
            [*incoming.c.keys(), *constants], select(*incoming.c, *constants.values())
        )

    def _compile_claims(self) -> None:
        """Compile the statements of leases on endpoints."""
        w = self._webhooks.c
        is_free, rows = _is_free(w, self._now), select(*(w[name] for name in Endpoint._fields))
        rank = func.row_number().over(partition_by=w.partner_id, order_by=w.due_at).label("rank")
        ranked = select(w.partner_id, w.id, w.fence, w.due_at, rank).where(is_free).subquery("ranked").c
        endpoints = select(ranked.partner_id, ranked.id, ranked.fence).order_by(ranked.rank, ranked.due_at)
        self.select_free_endpoints = self._compile(endpoints.limit(self._limit))
        self.lease = Lease(self._webhooks, self._dialect, "leased_until", is_free=is_free, claimed={})
        self.read = self._compile(rows.where(self._is_endpoint))
        self.lock_held = self._compile(rows.where(self.lease.is_held).with_for_update())
        held, state = self._webhooks.update().where(self.lease.is_held), bind_new_values(w, _ENDPOINT_STATE_COLUMNS)
        self.save_endpoint_state = self._compile(held.values(state))
        self.save_and_release_endpoint = self._compile(held.values({**state, **self.lease.released}))

    def _compile_rounds(self) -> None:
        """Compile the statements that load due deliveries and save their outcomes."""
        d, e, a = self._deliveries.c, self._events.c, self._attempts.c
        joined = self._deliveries.outerjoin(self._events, and_(e.partner_id == d.partner_id, e.id == d.event_id))
        columns = *(d[name] for name in Delivery._fields), *(e[name].label(f"event_{name}_") for name in EVENT_COLUMNS)
        due = select(*columns).select_from(joined).where(self._is_to_endpoint, d.due_at <= self._now)
        self.select_due = self._compile(due.order_by(d.due_at, d.position).limit(self._limit))
        pending = select(d.due_at).where(self._is_to_endpoint, d.due_at.is_not(None))
        self.select_next_due = self._compile(pending.order_by(d.due_at).limit(1))
        incoming = self._select_incoming(a, *(column.name for column in a if column.name != "partner_id"))
        attempted = select(*incoming.c, self._partner)
        self.insert_attempts = self._compile(
            self._attempts.insert().from_select([*incoming.c.keys(), "partner_id"], attempted)
        )
        incoming = self._select_incoming(d, "id", *_OUTCOME_COLUMNS)
        is_delivery = and_(d.partner_id == self._partner, d.id == incoming.c.id)
        self.save_outcomes = self._compile(
            self._deliveries.update().where(is_delivery).values({n: incoming.c[n] for n in _OUTCOME_COLUMNS})
        )

    def _compile_retention(self) -> None:
        """Compile the statements of retention and erasure."""
        w, d, a = self._webhooks.c, self._deliveries.c, self._attempts.c
        is_attempt = and_(a.partner_id == self._partner, a.delivery_id == bindparam("delivery_id", type_=d.id.type))
        self.delete_attempts = self._compile(self._attempts.delete().where(is_attempt))
        update = self._attempts.update().where(is_attempt, a.answer.is_not(None))
        self.erase_answers = self._compile(update.values(answer=null()))
        is_about_tenant = d.tenant_id == bindparam("tenant_id", type_=d.tenant_id.type)
        is_later = and_(d.partner_id == self._partner, is_about_tenant, d.id > bindparam("after", type_=d.id.type))
        self.select_by_tenant = self._compile(select(d.id).where(is_later).order_by(d.id).limit(self._limit))
        is_delivery = and_(d.partner_id == self._partner, d.id == bindparam("delivery_id", type_=d.id.type))
        self.delete = self._compile(self._deliveries.delete().where(is_delivery))
        is_old = d.created_at < bindparam("before", type_=d.created_at.type)
        self.select_old = self._compile(
            select(d.id).where(self._is_to_endpoint, is_old).order_by(d.id).limit(self._limit)
        )
        key = (w.partner_id, w.id)
        endpoints = select(*key).where(is_after(*key)).order_by(*key)
        self.select_endpoints = self._compile(endpoints.limit(self._limit))

    def _select_incoming(self, columns: Any, *names: str) -> Any:
        return select_incoming(self._dialect, **{name: columns[name].type for name in names})


_OUTCOME_COLUMNS = ("state", "attempts", "due_at", "finished_at")
_ENDPOINT_STATE_COLUMNS = (
    "enabled",
    "disabled_reason",
    "failing_since",
    "failures",
    "rests_until",
    "due_at",
    "version",
    "updated_at",
)


def _is_free(w: Any, now: Any) -> ColumnElement[bool]:
    return and_(w.enabled == 1, w.due_at <= now, is_over(w.rests_until, now), is_over(w.leased_until, now))


def has_due_endpoints(storage: Storage) -> ColumnElement[bool]:
    """Build the condition that an endpoint without a worker is due at the instant ``now``."""
    webhooks = storage.table("webhooks")
    now = bindparam("now", type_=webhooks.c.due_at.type)
    return select(webhooks.c.id).where(_is_free(webhooks.c, now)).exists()


def select_due_deliveries(storage: Storage) -> Select[Any]:
    """Select ``since``, the time from which a worker could have sent each delivery that is due at the instant ``now``.

    Deliveries to an endpoint that rests, is disabled, or has a worker are left out, because they are not late. After a
    rest, ``since`` is the end of the rest.
    """
    webhooks, deliveries = storage.table("webhooks"), storage.table("deliveries")
    w, d = webhooks.c, deliveries.c
    now: Any = bindparam("now", type_=w.due_at.type)
    is_due = and_(d.partner_id == w.partner_id, d.webhook_id == w.id, d.due_at <= now)
    since = case((w.rests_until > d.due_at, w.rests_until), else_=d.due_at)
    has_no_worker = is_over(w.leased_until, now)
    times = select(since.label("since")).select_from(webhooks.join(deliveries, is_due))
    return times.where(w.enabled == 1, w.due_at <= now, since <= now, has_no_worker)
