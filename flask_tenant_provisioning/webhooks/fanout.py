"""For each event that gets its place, a delivery to each endpoint that asked for its type, in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..database import Session
from ..events.publishing import Stretch
from .delivery_statements import DeliverySQL
from .models import pending

Matches = Callable[[Sequence[str], str], bool]


class Fanout:
    """Follows the feeds of one storage; `matches` says whether some of an endpoint's globs mean a type of events."""

    def __init__(self, matches: Matches) -> None:
        self._matches = matches

    def __call__(self, session: Session, stretch: Stretch) -> None:
        """Make the deliveries of the events in `stretch`, due at its instant."""
        sql, of_partner = session.storage.once(DeliverySQL), {"partner_id": stretch.partner}
        endpoints = session.run(sql.following, of_partner).fetchall()
        if not endpoints:
            return
        places = {**of_partner, "after": stretch.after, "upto": stretch.upto}
        events = session.run(sql.published, places).fetchall()
        for webhook_id, globs in endpoints:
            wanted = json.loads(globs)
            found = [event for event in events if self._matches(wanted, event[2])]
            if found:
                session.run_many(sql.add, [_delivery(session, stretch, webhook_id, event) for event in found])
                session.run(sql.awake, {**of_partner, "id": webhook_id, "now": stretch.at})


def _delivery(session: Session, stretch: Stretch, webhook_id: str, event: Sequence[Any]) -> dict[str, Any]:
    event_id, tenant_id, _, position = event
    made = pending((stretch.partner, webhook_id), session.storage.new_id(), event_id, stretch.at)
    return made._replace(tenant_id=tenant_id, position=position)._asdict()
