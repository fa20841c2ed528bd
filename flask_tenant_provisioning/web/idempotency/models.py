"""The table of remembered answers."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ...database.tables import prefixed
from ...database.types import Identifier, Instant, Record, ordered_text


def idempotency_table(metadata: MetaData) -> Table:
    """One row a key that a partner sent: which request it was for, and what was answered, of which tenant if of one."""
    return Table(
        prefixed(metadata, "idempotency"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("key", ordered_text(255), nullable=False),
        Column("fingerprint", String(64), nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("status", Integer),
        Column("headers", Record),
        Column("body", Record),
        Column("tenant_id", Identifier),
        PrimaryKeyConstraint("partner_id", "key"),
        Index(None, "expires_at"),
        sqlite_with_rowid=False,
    )
