"""For each event that gets its place, a delivery to each endpoint that asked for its type, in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from ..database import Session
from ..database.incoming import rows
from ..events.publishing import Stretch
from .delivery_statements import DeliverySQL

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
                to_one = {**of_partner, "id": webhook_id, "now": stretch.at}
                session.run(sql.add, {**to_one, "rows": deliveries(session, found)})
                session.run(sql.awake, to_one)


def deliveries(session: Session, events: Sequence[Sequence[Any]]) -> str:
    """A new delivery of each of these events (id, tenant, type, place), as `DeliverySQL.add` wants its rows."""
    new_id = session.storage.new_id
    return rows(
        {"id": new_id(), "event_id": event_id, "tenant_id": tenant_id, "position": position}
        for event_id, tenant_id, _, position in events
    )
