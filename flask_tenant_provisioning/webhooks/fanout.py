"""Fan out events: match event types against the globs of endpoints, and create one delivery per matching endpoint.

Globs look like ``*``, ``tenant.*``, ``tenant.created``, ``*.deleted``. A lone ``*`` matches every type; elsewhere ``*``
matches any text within one segment between dots. Changes of endpoints match only globs that begin with ``webhook.``,
because a subscriber to ``*`` would otherwise first receive the creation of its own endpoint, and those of API clients
only globs that begin with ``client.``, because what a subscriber to ``*`` does with tenants needs no credentials.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from ..database.session import Session
from ..database.statements import encode_rows
from ..events import schemas as event_schemas
from ..events.feed import PublishedRange
from .models import EventRow
from .statements import DeliverySQL

WILDCARD = "*"
#: Every event type that can be sent to an endpoint.
EVENT_TYPES = (*event_schemas.EVENT_TYPES, "webhook.test")
#: The types of events that match only globs which begin with the kind of their object.
EXPLICIT_EVENT_TYPES = frozenset(
    f"{kind}.{change}" for kind in ("webhook", "client") for change in ("created", "updated", "rotated", "deleted")
)
MAX_GLOB_LENGTH = 64
GLOB_PATTERN = re.compile(rf"(?=.{{1,{MAX_GLOB_LENGTH}}}\Z)[a-z_*]+(\.[a-z_*]+)*")


def matches(globs: Iterable[str], type: str) -> bool:
    """Return whether one of `globs` matches the event type `type`."""
    return any(_matches_glob(glob, type) for glob in globs)


def is_glob(text: str) -> bool:
    """Return whether `text` has the syntax of a glob."""
    return GLOB_PATTERN.fullmatch(text) is not None


def has_no_match(glob: str) -> bool:
    """Return whether `glob` matches no event type."""
    return not any(_matches_glob(glob, type) for type in EVENT_TYPES)


def _matches_glob(glob: str, type: str) -> bool:
    kind, _, _ = type.partition(".")
    if type in EXPLICIT_EVENT_TYPES and not glob.startswith(f"{kind}."):
        return False
    if glob == WILDCARD:
        return True
    pattern, segments = glob.split("."), type.split(".")
    return len(pattern) == len(segments) and all(map(fnmatchcase, segments, pattern))


def create_deliveries(session: Session, published: PublishedRange) -> None:
    """Create deliveries of the events in `published`, due at the instant of their publication."""
    sql, partner = session.storage.once(DeliverySQL), {"partner_id": published.partner}
    endpoints = session.run(sql.select_subscribers, partner).fetchall()
    if not endpoints:
        return
    bounds = {**partner, "after": published.after, "last": published.last}
    events = [EventRow._make(row) for row in session.run(sql.select_events, bounds).fetchall()]
    for webhook_id, globs in endpoints:
        patterns = json.loads(globs)
        matching = [event for event in events if matches(patterns, event.type)]
        if matching:
            endpoint = {**partner, "id": webhook_id, "now": published.at}
            session.run(sql.insert_deliveries, {**endpoint, "rows": build_delivery_rows(session, matching)})
            session.run(sql.wake_endpoint, endpoint)


def build_delivery_rows(session: Session, events: Sequence[EventRow]) -> str:
    """Encode one new delivery per event as the rows of `DeliverySQL.insert_deliveries`."""
    new_id = session.storage.new_id
    return encode_rows(
        {"id": new_id(), "event_id": event.id, "tenant_id": event.tenant_id, "position": event.position}
        for event in events
    )
