"""The tables of events, and of each partner's feed of them."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import BigInteger, Column, Index, MetaData, PrimaryKeyConstraint, String, Table, UniqueConstraint

from ..database.tables import prefixed
from ..database.types import Identifier, Instant, Record, ordered_text

#: What is the same in all events that one request or job leaves.
COMMON = ("type", "request_id", "actor_subject", "actor_partner", "actor_address", "actor_user_agent")


class Event(NamedTuple):
    """One event as the database gives it: identifiers, instants (microseconds, UTC) and JSON as text."""

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
    """One row for each thing that happened, append-only.

    `position` is the event's place in its partner's feed; the publisher gives it after the commit.
    """
    position: Column[int] = Column("position", BigInteger)
    return Table(
        prefixed(metadata, "events"),
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
        Column("data", Record, nullable=False),
        Column("changes", Record),
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
    """One row a partner: the last `position` that was given, when, and the last one that was `removed` again."""
    return Table(
        prefixed(metadata, "feeds"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("position", BigInteger, nullable=False),
        Column("removed", BigInteger, nullable=False),
        Column("published_at", Instant),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )
