"""Record events in the transaction that they report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..access.principal import Actor
from ..database.session import Session, Storage
from ..encoding import dump_json
from .statements import EventSQL


def build_event(
    storage: Storage,
    actor: Actor,
    event_type: str,
    partner: str,
    document: dict[str, Any],
    at: str,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the row of an event of type `event_type` at the instant `at`, without writing it.

    `document` is the object after the change, for example a tenant. `changes` maps each changed field to
    ``{"previous": …, "new": …}``.
    """
    return {
        "partner_id": partner,
        "id": storage.new_id(),
        "position": None,
        "type": event_type,
        "timestamp": at,
        "tenant_id": document.get("tenant"),
        "request_id": actor.request_id,
        "actor_subject": actor.principal.subject,
        "actor_partner": actor.principal.partner,
        "actor_address": actor.address,
        "actor_user_agent": actor.user_agent,
        "data": dump_json(document),
        "changes": None if changes is None else dump_json(changes),
        "traceparent": storage.telemetry.get_traceparent() if storage.telemetry.is_on else None,
    }


def record_event(session: Session, row: dict[str, Any]) -> None:
    """Write a row of `build_event`, and report it to the session."""
    session.run(session.storage.once(EventSQL).insert, row)
    session.events.append(row)


def record_events(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Write several rows of `build_event`, and report them to the session."""
    session.run_many(session.storage.once(EventSQL).insert, rows)
    session.events.extend(rows)
