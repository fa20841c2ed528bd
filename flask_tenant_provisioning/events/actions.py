"""Record events in the transaction in which they happen."""

from __future__ import annotations

from typing import Any

from ..access.principal import Actor
from ..database.session import Session, Storage
from ..encoding import dump_json
from .statements import EventSQL


def build_event(
    storage: Storage,
    actor: Actor,
    kind: str,
    partner: str,
    document: dict[str, Any],
    at: str,
    changes: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The row for an event of type `kind` about what `document` shows, a tenant mostly; not yet written.

    `changes` maps each field that changed to ``{"previous": …, "new": …}``.
    """
    return {
        "partner_id": partner,
        "id": storage.new_id(),
        "position": None,
        "type": kind,
        "timestamp": at,
        "tenant_id": document.get("tenant"),
        "request_id": actor.request_id,
        "actor_subject": actor.principal.subject,
        "actor_partner": actor.principal.partner,
        "actor_address": _fit(actor.address, 64),
        "actor_user_agent": _fit(actor.user_agent, 255),
        "data": dump_json(document),
        "changes": None if changes is None else dump_json(changes),
    }


def _fit(sent: str | None, longest: int) -> str | None:
    """What a client says of itself, as far as it can be stored."""
    return None if sent is None else sent[:longest].replace("\0", "")


def record_event(session: Session, row: dict[str, Any]) -> None:
    """Write the row that `event` made."""
    session.run(session.storage.once(EventSQL).insert, row)
    session.events.append(row)
