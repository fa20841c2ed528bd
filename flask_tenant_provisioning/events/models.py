"""The tables of events and feeds, and an event as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, Index, MetaData, PrimaryKeyConstraint, String, Table, UniqueConstraint

from ..database.ids import shorten_instant
from ..database.types import Identifier, Instant, JsonText, name_table, ordered_text

#: The columns with equal values in all events of one request or bulk chunk.
SHARED_COLUMNS = (
    "type", "request_id", "actor_subject", "actor_partner", "actor_address", "actor_user_agent", "traceparent",
)  # fmt: skip


class Event(NamedTuple):
    """One event as stored: identifiers, instants (microseconds, UTC) and JSON are strings."""

    id: str
    partner_id: str
    position: int
    type: str
    timestamp: str
    tenant_id: str | None
    request_id: str | None
    actor_subject: str | None
    actor_partner: str | None
    actor_address: str | None
    actor_user_agent: str | None
    data: str
    changes: str | None


def events_table(metadata: MetaData) -> Table:
    """Build the append-only table of events.

    `position` is the event's place in its partner's feed, set when it is published after the commit. `traceparent`
    (W3C Trace Context) is that of the unit of work which recorded it, NULL without a trace; webhooks continue it.
    """
    position: Column[int] = Column("position", BigInteger)
    return Table(
        name_table(metadata, "events"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        position,
        Column("type", String(64), nullable=False),
        Column("timestamp", Instant, nullable=False),
        Column("tenant_id", Identifier),
        Column("request_id", String(128)),
        Column("actor_subject", String(255)),
        Column("actor_partner", String(255)),
        Column("actor_address", String(64)),
        Column("actor_user_agent", String(255)),
        Column("data", JsonText, nullable=False),
        Column("changes", JsonText),
        Column("traceparent", String(55)),
        PrimaryKeyConstraint("partner_id", "id"),
        UniqueConstraint("partner_id", "position"),
        Index(
            None,
            "partner_id",
            "timestamp",
            "id",
            postgresql_where=position.is_(None),
            sqlite_where=position.is_(None),
        ),
        Index(None, "partner_id", "tenant_id", "position"),
        sqlite_with_rowid=False,
    )


def feeds_table(metadata: MetaData) -> Table:
    """Build the table of feeds, one row per partner.

    `position` is the last published position, `published_at` its instant, `removed` the last position removed.
    """
    return Table(
        name_table(metadata, "feeds"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("removed", BigInteger, nullable=False),
        Column("published_at", Instant),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )


def render_event_head(row: Mapping[str, Any]) -> dict[str, Any]:
    """Render the members of an event before its data."""
    return {
        "id": row["id"],
        "type": row["type"],
        "timestamp": shorten_instant(row["timestamp"]),
        "partner": row["partner_id"],
        "tenant": row["tenant_id"],
        "request_id": row["request_id"],
        "actor": {"sub": row["actor_subject"], "partner": row["actor_partner"]},
    }


def render_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Render an event from its columns as partners see it ("Event feed" in ``docs/api.md``)."""
    changes = json.loads(row["changes"]) if row["changes"] else {}
    return {**render_event_head(row), "data": json.loads(row["data"]), "changes": changes}


def render_audited_event(row: Mapping[str, Any]) -> dict[str, Any]:
    """Render an event with the actor's address and user agent."""
    document = render_event(row)
    document["actor"] |= {"address": row["actor_address"], "user_agent": row["actor_user_agent"]}
    return document


#: The kinds of objects whose events are shown whole only to callers with a permission of their own.
GUARDED_KINDS = {"webhook": "webhook:read", "client": "client:read", "invitation": "invitation:read"}


def hide_guarded(event: dict[str, Any], kinds: Collection[str]) -> dict[str, Any]:
    """Reduce an event about an object of one of `kinds` to the object's id."""
    kind = event["type"].partition(".")[0]
    return {**event, "data": {kind: event["data"].get(kind)}, "changes": {}} if kind in kinds else event
