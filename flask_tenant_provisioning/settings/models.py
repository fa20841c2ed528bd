"""The tables of settings: what tenants and partners set, and every version of it."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text

from ..database.types import Instant, JsonText, name_table, ordered_text

#: What stands in place of a tenant's id where a partner sets defaults of its tenants.
PARTNER_SCOPE = ""


class SettingsRow(NamedTuple):
    """What one tenant sets, or one partner.

    `document` is a JSON object of values by namespace and key, `secrets` one of sealed texts by the same, None where
    there is none. `history_bytes` is how many bytes the history has since the last version that it keeps whole.
    """

    partner_id: str
    tenant_id: str
    version: int
    document: str
    secrets: str | None
    updated_at: str
    history_bytes: int


class SettingsVersion(NamedTuple):
    """One version: what was set, who set it when, and what changed with it, secrets masked.

    `document` and `secrets` are differences from the version after it, or hold the version whole; see `versions`.
    """

    partner_id: str
    tenant_id: str
    version: int
    document: str
    secrets: str | None
    changes: str
    at: str
    actor_subject: str
    actor_partner: str
    request_id: str | None


class VersionSummary(NamedTuple):
    """One version as histories list it."""

    version: int
    changes: str
    at: str
    actor_subject: str
    actor_partner: str
    request_id: str | None


class VersionDifference(NamedTuple):
    """What the row of a version says of what it set."""

    version: int
    document: str
    secrets: str | None


def settings_table(metadata: MetaData) -> Table:
    """One row a tenant that sets anything, and a partner that does; its `tenant_id` is the empty text."""
    return Table(
        name_table(metadata, "settings"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", ordered_text(36), nullable=False),
        Column("version", Integer, nullable=False),
        Column("document", JsonText, nullable=False),
        Column("secrets", Text),
        Column("updated_at", Instant, nullable=False),
        Column("history_bytes", Integer, nullable=False),
        PrimaryKeyConstraint("partner_id", "tenant_id"),
        sqlite_with_rowid=False,
    )


def settings_history_table(metadata: MetaData) -> Table:
    """One row a version that is remembered, the present one among them."""
    return Table(
        name_table(metadata, "settings_history"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("tenant_id", ordered_text(36), nullable=False),
        Column("version", Integer, nullable=False),
        Column("document", JsonText, nullable=False),
        Column("secrets", Text),
        Column("changes", JsonText, nullable=False),
        Column("at", Instant, nullable=False),
        Column("actor_subject", String(255), nullable=False),
        Column("actor_partner", String(255), nullable=False),
        Column("request_id", String(128)),
        PrimaryKeyConstraint("partner_id", "tenant_id", "version"),
        sqlite_with_rowid=False,
    )
