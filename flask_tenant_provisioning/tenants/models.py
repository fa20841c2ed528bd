"""The table of tenants, and one row of it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import (
    Column,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    text,
)

from ..database import shown
from ..database.tables import prefixed
from ..database.types import Document, Identifier, Instant, Record, ordered_text
from ..hooks import TenantFields

#: What a client may write, in the contract's order.
WRITABLE = ("external_id", "client_name", "email", "phone_number", "industry", "plan", "metadata")


class Tenant(NamedTuple):
    """One tenant as the database gives it: identifiers, instants (microseconds, UTC) and metadata as text."""

    id: str
    partner_id: str
    external_id: str | None
    client_name: str
    email: str
    phone_number: str | None
    industry: str | None
    plan: str | None
    metadata: str
    status: str
    suspended_reason: str | None
    version: int
    created_at: str
    updated_at: str
    deleted_at: str | None
    purge_at: str | None
    fields: str | None

    def document(self, own: TenantFields | None) -> dict[str, Any]:
        """The tenant as the contract shows it (§2), with the host's `own` fields, ready for JSON."""
        return document(self, own)


#: The names under which the contract shows the columns of `Tenant`; `fields` holds what the host adds to them.
SHOWN = ("tenant", "partner", *Tenant._fields[2:-1])


def document(row: tuple[Any, ...], own: TenantFields | None) -> dict[str, Any]:
    """Turn a row in the order of `Tenant` into the contract's document, with the host's `own` fields at its end."""
    found = dict(zip(SHOWN, row, strict=False))
    metadata = found["metadata"]
    found["metadata"] = {} if metadata == "{}" else json.loads(metadata)
    found["created_at"] = f"{found['created_at'][:23]}Z"
    found["updated_at"] = f"{found['updated_at'][:23]}Z"
    if found["deleted_at"]:
        found["deleted_at"], found["purge_at"] = shown(found["deleted_at"]), shown(found["purge_at"])
    if own is not None:
        stored = json.loads(row[-1]) if row[-1] else {}
        found |= {name: stored.get(name) for name in own.fields}
    return found


#: What lists are served by, for one partner and for all of them: an index a sort, with whatever is asked by equality
#: before it. A tenant is only in those that concern it: each costs every create some 10 µs on SQLite.
LIST_INDEXES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("partner_created", ("partner_id", "status", "created_at", "id"), None),
    ("partner_name", ("partner_id", "status", "name_key", "id"), None),
    ("partner_updated", ("partner_id", "status", "updated_at"), "version > 1"),
    ("partner_plan_created", ("partner_id", "plan", "status", "created_at", "id"), "plan IS NOT NULL"),
    ("partner_plan_name", ("partner_id", "plan", "status", "name_key", "id"), "plan IS NOT NULL"),
    ("partner_industry_created", ("partner_id", "industry", "status", "created_at", "id"), "industry IS NOT NULL"),
    ("partner_industry_name", ("partner_id", "industry", "status", "name_key", "id"), "industry IS NOT NULL"),
    ("created", ("status", "created_at", "id"), None),
    ("name", ("status", "name_key", "id"), None),
    ("updated", ("status", "updated_at"), "version > 1"),
    ("plan_created", ("plan", "status", "created_at", "id"), "plan IS NOT NULL"),
    ("industry_created", ("industry", "status", "created_at", "id"), "industry IS NOT NULL"),
)


def tenants_table(metadata: MetaData) -> Table:
    """The tenants of every partner.

    `live` is 1 while the tenant is not deleted and NULL afterwards: under a plain UNIQUE that lets a deleted
    tenant's email and external id be taken again, on every database. `email_key` is the email as it is compared,
    `name_key` the name as it is sorted and searched.
    """
    purge_at: Column[str] = Column("purge_at", Instant)
    return Table(
        prefixed(metadata, "tenants"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("id", Identifier, nullable=False),
        Column("external_id", ordered_text(128)),
        Column("client_name", String(255), nullable=False),
        Column("name_key", ordered_text(1024), nullable=False),
        Column("email", String(254), nullable=False),
        Column("email_key", ordered_text(1024), nullable=False),
        Column("phone_number", String(32)),
        Column("industry", String(100)),
        Column("plan", String(100)),
        Column("metadata", Document, nullable=False),
        Column("status", String(16), nullable=False),
        Column("status_before", String(16)),
        Column("suspended_reason", String(500)),
        Column("version", Integer, nullable=False),
        Column("live", SmallInteger),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("deleted_at", Instant),
        purge_at,
        Column("fields", Record),
        PrimaryKeyConstraint("partner_id", "id"),
        UniqueConstraint("email_key", "partner_id", "live"),
        UniqueConstraint("external_id", "partner_id", "live"),
        Index(None, "id"),
        *(_list_index(metadata, name, columns, where) for name, columns, where in LIST_INDEXES),
        Index(None, "purge_at", postgresql_where=purge_at.is_not(None), sqlite_where=purge_at.is_not(None)),
        sqlite_with_rowid=False,
    )


def _list_index(metadata: MetaData, name: str, columns: tuple[str, ...], where: str | None) -> Index:
    condition = None if where is None else text(where)
    name = f"{prefixed(metadata, 'tenants')}_{name}_idx"
    return Index(name, *columns, postgresql_where=condition, sqlite_where=condition)


#: Which field of the request a unique constraint speaks of, by the constraint's column.
CLAIMS = {"email_key": "email", "external_id": "external_id"}


def claimed_field(constraint: str) -> str:
    """The field that the unique constraint of this name protects."""
    return next(field for column, field in CLAIMS.items() if column in constraint)
