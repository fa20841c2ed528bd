"""The tables of settings: the current values of tenants and partners, and the history of their versions."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import Column, Integer, MetaData, PrimaryKeyConstraint, String, Table, Text

from ..database.types import Instant, JsonText, name_table, ordered_text

#: The `tenant_id` of a row that holds a partner's defaults for its tenants.
PARTNER_SCOPE = ""
#: The greatest number that a version can have.
MAX_VERSION = (1 << 31) - 1


class SettingsRow(NamedTuple):
    """The current settings of one tenant or one partner.

    `document` is a JSON object of values by namespace and key; `secrets` is a JSON object of sealed texts by namespace
    and key, or None. `history_bytes` is the size of the history rows since the last version that is stored whole.
    """

    partner_id: str
    tenant_id: str
    version: int
    document: str
    secrets: str | None
    updated_at: str
    history_bytes: int


class SettingsVersion(NamedTuple):
    """One version in the history: its values, its author and time, and its changes with secrets masked.

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
    """The columns of a version that a list of versions shows."""

    version: int
    changes: str
    at: str
    actor_subject: str
    actor_partner: str
    request_id: str | None


class VersionDifference(NamedTuple):
    """The columns of a history row that hold the values of its version."""

    version: int
    document: str
    secrets: str | None


def settings_table(metadata: MetaData) -> Table:
    """Build the table with one row per tenant or partner that sets anything; a partner's `tenant_id` is empty."""
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
    """Build the table with one row per stored version, including the current one."""
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
