"""Which endpoints receive an event: event type globs, and one delivery per matching endpoint.

Globs are ``*``, ``tenant.*``, ``tenant.created``, ``*.deleted``. Alone, ``*`` matches every type; elsewhere it matches
any part of the segment between two dots that it is in. Changes of endpoints match only globs that begin with
``webhook.``: a subscriber to everything would otherwise first receive the creation of its own endpoint.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..database.session import Session
from ..database.statements import encode_rows
from ..events.feed import PublishedRange
from ..events.schemas import EVENT_TYPES as OF_EVENTS
from .statements import DeliverySQL

WILDCARD = "*"
#: Every type that an endpoint may hear.
EVENT_TYPES = (*OF_EVENTS, "webhook.test")
#: Changes of endpoints.
ENDPOINT_EVENT_TYPES = frozenset({"webhook.created", "webhook.updated", "webhook.rotated", "webhook.deleted"})
MAX_GLOB_LENGTH = 64
GLOB_PATTERN = re.compile(rf"(?=.{{1,{MAX_GLOB_LENGTH}}}\Z)[a-z_*]+(\.[a-z_*]+)*")


def matches(globs: Iterable[str], type: str) -> bool:
    """Whether one of `globs` means the `type` of an event."""
    return any(_matches_glob(glob, type) for glob in globs)


def is_glob(text: str) -> bool:
    """Whether `text` is written as a glob is."""
    return GLOB_PATTERN.fullmatch(text) is not None


def has_no_match(glob: str) -> bool:
    """Whether there is no type that `glob` means."""
    return not any(_matches_glob(glob, type) for type in EVENT_TYPES)


def _matches_glob(glob: str, type: str) -> bool:
    if type in ENDPOINT_EVENT_TYPES and not glob.startswith("webhook."):
        return False
    if glob == WILDCARD:
        return True
    wanted, found = glob.split("."), type.split(".")
    return len(wanted) == len(found) and all(map(fnmatchcase, found, wanted))


Matches = Callable[[Sequence[str], str], bool]


class Fanout:
    """Follows the feeds of one storage; `matches` says whether some of an endpoint's globs mean a type of events."""

    def __init__(self, matches: Matches) -> None:
        self._matches = matches

    def __call__(self, session: Session, stretch: PublishedRange) -> None:
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
                session.run(sql.add, {**to_one, "rows": build_delivery_rows(session, found)})
                session.run(sql.awake, to_one)


def build_delivery_rows(session: Session, events: Sequence[Sequence[Any]]) -> str:
    """A new delivery of each of these events (id, tenant, type, place), as `DeliverySQL.add` wants its rows."""
    new_id = session.storage.new_id
    return encode_rows(
        {"id": new_id(), "event_id": event_id, "tenant_id": tenant_id, "position": position}
        for event_id, tenant_id, _, position in events
    )
