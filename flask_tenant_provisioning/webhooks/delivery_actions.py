"""Read deliveries, send a test event, redeliver and recover. Each public function is one unit of work."""

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
from .models import Attempt, Delivery, Endpoint, make_pending_delivery
from .statements import DeliverySQL, WebhookSQL

#: How far back a recovery reaches, in days.
MAX_RECOVERY_DAYS = 14
_BATCH_SIZE = 1000
_TOO_LONG_AGO = Fault("invalid-time", f"Must not be more than {MAX_RECOVERY_DAYS} days ago.")


def list_deliveries(
    session: Session, partner: str | None, webhook_id: str, state: str | None, limit: int, after: str | None
) -> tuple[list[Delivery], str | None]:
    """An endpoint's deliveries before the one with the id `after`, the newest first; the last id where more follow.

    Raises `WebhookNotFound`.
    """
    endpoint = actions.load_endpoint(session, partner, webhook_id)
    where = {"partner_id": endpoint.partner_id, "webhook_id": endpoint.id, "state": state}

    def rows(count: int, place: str | None) -> list[Delivery]:
        statement = session.storage.once(WebhookSQL).deliveries(in_state=state is not None, after=place is not None)
        found = session.run(statement, {**where, "after": place, "limit": count}).fetchall()
        return [Delivery._make(row) for row in found]

    return read_page(rows, limit, after, lambda delivery: delivery.id, measure_row)


def load_delivery(session: Session, partner: str | None, delivery_id: str) -> Delivery:
    """The delivery with this id of `partner`, or of anybody where that is None. Raises `DeliveryNotFound`."""
    sql = session.storage.once(WebhookSQL)
    statement, where = (sql.delivery_of_any_partner, {}) if partner is None else (sql.delivery, {"partner_id": partner})
    row = session.run(statement, {**where, "id": delivery_id}).fetchone()
    if row is None:
        raise DeliveryNotFound
    return Delivery._make(row)


def load_delivery_history(session: Session, partner: str | None, delivery_id: str) -> tuple[Delivery, list[Attempt]]:
    """The same with each attempt at it, the first one first."""
    found = load_delivery(session, partner, delivery_id)
    where = {"partner_id": found.partner_id, "id": found.id}
    rows = session.run(session.storage.once(WebhookSQL).history, where).fetchall()
    return found, [Attempt._make(row) for row in rows]


def send_test_event(session: Session, actor: Actor, target: Target) -> Delivery:
    """Have one event of type ``webhook.test`` sent, once. Raises `WebhookNotFound`, `WebhookDisabled`."""
    endpoint = _require_enabled(actions.lock_endpoint(session, target))
    event_id, at = session.storage.new_id(), format_instant(session.storage.clock())
    body = dump_json(_build_test_event(actor, endpoint, event_id, at))
    made = _build_delivery(session, endpoint, event_id, at)._replace(resent=1, payload=body)
    session.run(session.storage.once(WebhookSQL).add, made._asdict())
    _wake_endpoint(session, endpoint, at)
    return made


def redeliver(session: Session, partner: str | None, delivery_id: str) -> Delivery:
    """Have a delivery attempted once more, whatever came of it; one that waits is attempted now.

    Raises `DeliveryNotFound`, `WebhookDisabled`.
    """
    found = load_delivery(session, partner, delivery_id)
    endpoint = _require_enabled(actions.lock_endpoint(session, Target(found.partner_id, found.webhook_id)))
    found = load_delivery(session, found.partner_id, found.id)
    at = format_instant(session.storage.clock())
    resent = found.resent if found.state == "pending" else 1
    after = found._replace(state="pending", resent=resent, due_at=at, finished_at=None)
    values = {"new_state": after.state, "new_resent": after.resent, "new_due_at": after.due_at}
    where = {"partner_id": found.partner_id, "id": found.id}
    session.run(session.storage.once(WebhookSQL).resend, {**where, **values})
    _wake_endpoint(session, endpoint, at)
    return after


def recover(session: Session, target: Target, since: str) -> tuple[Endpoint, int]:
    """Deliver anew what happened since the instant `since`, matches, and neither was delivered nor waits to be.

    Returns the endpoint and the number of deliveries. Raises `WebhookNotFound`, `WebhookDisabled`, and `InvalidInput`
    where that is more than 14 days ago.
    """
    at = format_instant(session.storage.clock())
    if since < format_instant(session.storage.clock(), days=-MAX_RECOVERY_DAYS):
        raise make_invalid_input([make_entry(_TOO_LONG_AGO, "since")])
    endpoint = _require_enabled(actions.lock_endpoint_and_feed(session, target))
    sql, where = session.storage.once(WebhookSQL), {"partner_id": endpoint.partner_id, "id": endpoint.id}
    settled = {event_id for (event_id,) in session.run(sql.settled, where).fetchall()}
    globs, after, count = json.loads(endpoint.events), 0, 0
    while events := session.run(
        sql.happened, {**where, "since": since, "after": after, "limit": _BATCH_SIZE}
    ).fetchall():
        wanted = [event for event in events if event[0] not in settled and matches(globs, event[2])]
        if wanted:
            session.run(
                session.storage.once(DeliverySQL).add,
                {**where, "now": at, "rows": build_delivery_rows(session, wanted)},
            )
        count, after = count + len(wanted), events[-1][3]
    if count:
        _wake_endpoint(session, endpoint, at)
    return endpoint, count


def _require_enabled(endpoint: Endpoint) -> Endpoint:
    """The endpoint, which is enabled. Raises `WebhookDisabled`."""
    if not endpoint.enabled:
        raise WebhookDisabled
    return endpoint


def _wake_endpoint(session: Session, endpoint: Endpoint, at: str) -> None:
    """Let a worker look at the endpoint now, even while it rests."""
    where = {"partner_id": endpoint.partner_id, "id": endpoint.id}
    session.run(session.storage.once(WebhookSQL).awake, {**where, "now": at})
    session.notify_worker((endpoint.partner_id, endpoint.id))


def _build_delivery(session: Session, endpoint: Endpoint, event_id: str, at: str) -> Delivery:
    return make_pending_delivery((endpoint.partner_id, endpoint.id), session.storage.new_id(), event_id, at)


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
