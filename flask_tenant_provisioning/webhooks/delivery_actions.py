"""Load deliveries, send a test event, redeliver and recover.

What takes a `Session` runs in the caller's unit of work.
"""

from __future__ import annotations

import json
from typing import Any

from ..access.principal import Actor
from ..database.ids import format_instant
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..encoding import dump_json
from ..errors import DeliveryNotFound, Fault, WebhookDisabled
from ..events.models import render_event
from ..validation import make_entry, make_invalid_input
from . import actions, models
from .actions import Target
from .fanout import build_delivery_rows, matches
from .models import DELIVERY_WORK, Attempt, Delivery, Endpoint, EndpointKey, EventRow, make_pending_delivery
from .statements import DeliverySQL, WebhookSQL

#: The maximum age of events that can be recovered, in days.
MAX_RECOVERY_DAYS = 14
_BATCH_SIZE = 1000
_TOO_LONG_AGO = Fault("invalid-time", f"Must not be more than {MAX_RECOVERY_DAYS} days ago.")


def list_deliveries(
    session: Session, partner: str | None, webhook_id: str, state: str | None, limit: int, after: str | None
) -> tuple[list[Delivery], str | None]:
    """Return a page of an endpoint's deliveries, the newest first, that starts after the delivery with the id `after`.

    The second value is the id of the last delivery on the page if another page follows, else None. Raises
    `WebhookNotFound`.
    """
    endpoint = actions.load_endpoint(session, partner, webhook_id)
    where = {"partner_id": endpoint.partner_id, "webhook_id": endpoint.id, "state": state}

    def load_rows(count: int, after: str | None) -> list[Delivery]:
        sql = session.storage.once(WebhookSQL)
        statement = sql.list_deliveries(in_state=state is not None, after=after is not None)
        rows = session.run(statement, {**where, "after": after, "limit": count}).fetchall()
        return [Delivery._make(row) for row in rows]

    return read_page(load_rows, limit, after, lambda delivery: delivery.id, measure_row)


def load_delivery(session: Session, partner: str | None, delivery_id: str) -> Delivery:
    """Return the delivery with this id of `partner`, or of any partner if None. Raises `DeliveryNotFound`."""
    sql = session.storage.once(WebhookSQL)
    statement = sql.read_delivery_of_any_partner if partner is None else sql.read_delivery
    row = session.run(statement, {"partner_id": partner, "id": delivery_id}).fetchone()
    if row is None:
        raise DeliveryNotFound
    return Delivery._make(row)


def load_delivery_history(session: Session, partner: str | None, delivery_id: str) -> tuple[Delivery, list[Attempt]]:
    """Return a delivery and its attempts in order. Raises `DeliveryNotFound`."""
    delivery = load_delivery(session, partner, delivery_id)
    where = {"partner_id": delivery.partner_id, "id": delivery.id}
    rows = session.run(session.storage.once(WebhookSQL).read_attempts, where).fetchall()
    return delivery, [Attempt._make(row) for row in rows]


def send_test_event(session: Session, actor: Actor, target: Target) -> Delivery:
    """Schedule one attempt to send an event of type ``webhook.test``. Raises `WebhookNotFound`, `WebhookDisabled`."""
    endpoint = _require_enabled(actions.lock_endpoint(session, target))
    event_id, at = session.storage.new_id(), format_instant(session.storage.clock())
    body = dump_json(_build_test_event(actor, endpoint, event_id, at))
    delivery = _build_delivery(session, endpoint, event_id, at)._replace(resent=1, payload=body)
    session.run(session.storage.once(WebhookSQL).insert_delivery, delivery._asdict())
    _wake_endpoint(session, endpoint, at)
    return delivery


def redeliver(session: Session, partner: str | None, delivery_id: str) -> Delivery:
    """Schedule one more attempt of a delivery, whatever its state; a pending one becomes due now.

    Raises `DeliveryNotFound`, `WebhookDisabled`.
    """
    delivery = load_delivery(session, partner, delivery_id)
    endpoint = _require_enabled(actions.lock_endpoint(session, Target(delivery.partner_id, delivery.webhook_id)))
    delivery = load_delivery(session, delivery.partner_id, delivery.id)
    at = format_instant(session.storage.clock())
    resent = delivery.resent if delivery.state == "pending" else 1
    after = delivery._replace(state="pending", resent=resent, due_at=at, finished_at=None)
    values = {"new_state": after.state, "new_resent": after.resent, "new_due_at": after.due_at}
    where = {"partner_id": delivery.partner_id, "id": delivery.id}
    session.run(session.storage.once(WebhookSQL).requeue, {**where, **values})
    _wake_endpoint(session, endpoint, at)
    return after


def recover(session: Session, target: Target, since: str) -> tuple[Endpoint, int]:
    """Create deliveries of matching events since the instant `since` that are neither delivered nor pending.

    Returns the endpoint and the number of deliveries. Raises `WebhookNotFound`, `WebhookDisabled`, and `InvalidInput`
    if `since` is more than 14 days ago.
    """
    at = format_instant(session.storage.clock())
    if since < format_instant(session.storage.clock(), days=-MAX_RECOVERY_DAYS):
        raise make_invalid_input([make_entry(_TOO_LONG_AGO, "since")])
    endpoint = _require_enabled(actions.lock_endpoint_and_feed(session, target))
    sql, where = session.storage.once(WebhookSQL), endpoint.key
    delivered = {event_id for (event_id,) in session.run(sql.select_delivered_events, where).fetchall()}
    globs, after, count = json.loads(endpoint.events), 0, 0
    batch = {**where, "since": since, "limit": _BATCH_SIZE}
    while rows := session.run(sql.select_events_since, {**batch, "after": after}).fetchall():
        events = [EventRow._make(row) for row in rows]
        undelivered = [event for event in events if event.id not in delivered and matches(globs, event.type)]
        if undelivered:
            deliveries = {**where, "now": at, "rows": build_delivery_rows(session, undelivered)}
            session.run(session.storage.once(DeliverySQL).insert_deliveries, deliveries)
        count, after = count + len(undelivered), events[-1].position
    if count:
        _wake_endpoint(session, endpoint, at)
    return endpoint, count


def _require_enabled(endpoint: Endpoint) -> Endpoint:
    """Return `endpoint` if it is enabled. Raises `WebhookDisabled`."""
    if not endpoint.enabled:
        raise WebhookDisabled
    return endpoint


def _wake_endpoint(session: Session, endpoint: Endpoint, at: str) -> None:
    """Make the endpoint due at the instant `at` and end its rest."""
    session.run(session.storage.once(WebhookSQL).wake_endpoint, {**endpoint.key, "now": at})
    session.notify_worker((DELIVERY_WORK, endpoint.partner_id, endpoint.id))


def _build_delivery(session: Session, endpoint: Endpoint, event_id: str, at: str) -> Delivery:
    key = EndpointKey(endpoint.partner_id, endpoint.id)
    return make_pending_delivery(key, session.storage.new_id(), event_id, at)


def _build_test_event(actor: Actor, endpoint: Endpoint, event_id: str, at: str) -> dict[str, Any]:
    return render_event(
        {
            "id": event_id,
            "type": "webhook.test",
            "timestamp": at,
            "partner_id": endpoint.partner_id,
            "tenant_id": None,
            "request_id": actor.request_id,
            "actor_subject": actor.principal.subject,
            "actor_partner": actor.principal.partner,
            "data": dump_json(models.render_endpoint(endpoint)),
            "changes": None,
        }
    )
