"""What is to be delivered and could be."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, and_, bindparam, case, or_, select

from ..database import Storage


def due_deliveries(storage: Storage) -> Select[Any]:
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
