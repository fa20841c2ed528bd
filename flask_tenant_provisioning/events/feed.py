"""Read a partner's events in their order: a reader that follows `next` misses none and meets none twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..database import Session, shown
from ..database.paging import FEW, PAGE_BYTES, row_size
from ..problems import CursorExpired, InvalidCursor
from .models import Event
from .statements import WINDOW, EventSQL

DEFAULT_LIMIT = 50


class Page(NamedTuple):
    """Some events in their order, the place after which the next page begins, and whether there is more already."""

    events: list[Event]
    place: int
    has_more: bool


def page(session: Session, partner: str, asked: Mapping[str, Any], after: int | None) -> Page:
    """The events behind the place `after`, or from the oldest on.

    `asked` has the `limit`, and may have `type` (types, of which one has to be an event's) and `tenant`. A page of few
    events, or of none, does not say that nothing follows: it also ends where its events are large.

    Raises `CursorExpired` where events behind `after` are removed, and `InvalidCursor` for a place that the feed has
    not reached.
    """
    types, tenant, limit = asked.get("type", ()), asked.get("tenant"), asked["limit"]
    values = {"partner_id": partner, **{f"type_{n}": t for n, t in enumerate(types)}}
    if tenant is not None:
        values["tenant_id"] = tenant
    statement = session.storage.once(EventSQL).page(len(types), tenant is not None)
    found: list[Event] = []
    left = PAGE_BYTES
    while True:
        wanted = min(limit - len(found), FEW)
        rows = session.run(statement, {**values, "after": after, "limit": wanted}).fetchall()
        head, removed = rows[0][:2] if rows else (0, 0)
        start = removed if after is None else _checked(after, removed, head)
        events = [Event._make(row[2:]) for row in rows if row[2] is not None]
        for one in events:
            left -= row_size(one)
            if left < 0 and found:
                return Page(found, found[-1].position, True)
            found.append(one)
        if len(events) < wanted:
            end = min(start + WINDOW, head)
            return Page(found, end, end < head)
        after = found[-1].position
        if len(found) == limit:
            return Page(found, after, after < head)


def head(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the envelope of an event says before its data."""
    return {
        "id": row["id"],
        "type": row["type"],
        "timestamp": shown(row["timestamp"]),
        "partner": row["partner_id"],
        "tenant": row["tenant_id"],
        "request_id": row["request_id"],
        "actor": {"sub": row["actor_subject"], "partner": row["actor_partner"]},
    }


def envelope(row: Mapping[str, Any]) -> dict[str, Any]:
    """An event as partners read it (contract §5), out of its columns."""
    changes = json.loads(row["changes"]) if row["changes"] else {}
    return {**head(row), "data": json.loads(row["data"]), "changes": changes}


def audited(row: Mapping[str, Any]) -> dict[str, Any]:
    """The same with where the actor called from."""
    found = envelope(row)
    found["actor"] |= {"address": row["actor_address"], "user_agent": row["actor_user_agent"]}
    return found


def without_endpoint(event: dict[str, Any]) -> dict[str, Any]:
    """An event for those who may not read endpoints: of one that is about an endpoint no more than its id."""
    if not event["type"].startswith("webhook."):
        return event
    return {**event, "data": {"webhook": event["data"].get("webhook")}, "changes": {}}


def _checked(after: int, removed: int, head: int) -> int:
    if after < removed:
        raise CursorExpired
    if after > head:
        raise InvalidCursor
    return after
