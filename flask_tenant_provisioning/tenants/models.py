"""The table of tenants with its indexes, and a tenant as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
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

from ..database.ids import shorten_instant
from ..database.indexes import IndexSet
from ..database.types import (
    Identifier,
    Instant,
    JsonDocument,
    JsonMember,
    JsonText,
    make_metadata,
    name_table,
    ordered_text,
)
from ..encoding import dump_json
from ..registry import TenantFields

STATUSES = ("provisioning", "active", "suspended", "failed", "deleted")
#: Every status of a tenant that is not deleted.
LIVING_STATUSES = ("active", "suspended", "provisioning", "failed")
#: The fields that a client may write, in the order of responses.
WRITABLE = ("external_id", "client_name", "email", "phone_number", "industry", "plan", "metadata")


class Tenant(NamedTuple):
    """One tenant as stored: identifiers, instants (microseconds, UTC) and JSON are strings."""

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

    @property
    def key(self) -> dict[str, str]:
        """The primary key, by column."""
        return {"partner_id": self.partner_id, "id": self.id}


#: Validated values of a tenant by field, with the comparison keys of its name and email.
Values = Mapping[str, Any]
#: The defaults of optional fields.
EMPTY_VALUES: Values = {
    "external_id": None,
    "phone_number": None,
    "industry": None,
    "plan": None,
    "metadata": {},
    "fields": {},
}


def build_tenant(tenant_id: str, partner: str, values: Values, at: str, status: str) -> Tenant:
    """Build a tenant of `partner` that is created with `values` at the instant `at`."""
    get, metadata, fields = values.get, values.get("metadata"), values.get("fields")
    return Tenant(
        id=tenant_id,
        partner_id=partner,
        external_id=get("external_id"),
        client_name=values["client_name"],
        email=values["email"],
        phone_number=get("phone_number"),
        industry=get("industry"),
        plan=get("plan"),
        metadata=dump_json(metadata) if metadata else "{}",
        status=status,
        suspended_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        deleted_at=None,
        purge_at=None,
        fields=dump_json(fields) if fields else None,
    )


#: The members of a tenant's document, in the order of the columns of `Tenant`, without the custom `fields`.
DOCUMENT_FIELDS = ("tenant", "partner", *Tenant._fields[2:-1])


def render_tenant_document(row: tuple[Any, ...], custom: TenantFields | None) -> dict[str, Any]:
    """Render a row that begins with the columns of `Tenant` as in responses, with the host's `custom` fields."""
    document = dict(zip(DOCUMENT_FIELDS, row, strict=False))
    metadata = document["metadata"]
    document["metadata"] = {} if metadata == "{}" else json.loads(metadata)
    document["created_at"] = f"{document['created_at'][:23]}Z"
    document["updated_at"] = f"{document['updated_at'][:23]}Z"
    if document["deleted_at"]:
        document["deleted_at"], document["purge_at"] = (
            shorten_instant(document["deleted_at"]),
            shorten_instant(document["purge_at"]),
        )
    if custom is not None:
        fields = row[len(DOCUMENT_FIELDS)]
        stored = json.loads(fields) if fields else {}
        document |= {name: stored.get(name) for name in custom.fields}
    return document


#: The indexes of lists, for one partner and for all: one per sort order, preceded by the columns filtered by equality.
#: The conditions keep a tenant out of indexes that it does not need: each costs a create some 10 µs on SQLite.
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
    """Build the table of tenants.

    `live` is 1 while the tenant is not deleted and NULL afterwards, so that a plain UNIQUE constraint lets another
    tenant take a deleted tenant's email and external id, on every database. `email_key` and `name_key` are the keys by
    which emails are compared and names are sorted and searched.
    """
    purge_at: Column[str] = Column("purge_at", Instant)
    return Table(
        name_table(metadata, "tenants"),
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
        Column("metadata", JsonDocument, nullable=False),
        Column("status", String(16), nullable=False),
        Column("status_before", String(16)),
        Column("suspended_reason", String(500)),
        Column("version", Integer, nullable=False),
        Column("live", SmallInteger),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        Column("deleted_at", Instant),
        purge_at,
        Column("fields", JsonText),
        PrimaryKeyConstraint("partner_id", "id"),
        UniqueConstraint("email_key", "partner_id", "live"),
        UniqueConstraint("external_id", "partner_id", "live"),
        Index(None, "id"),
        *(_make_list_index(metadata, name, columns, where) for name, columns, where in LIST_INDEXES),
        Index(None, "purge_at", postgresql_where=purge_at.is_not(None), sqlite_where=purge_at.is_not(None)),
        sqlite_with_rowid=False,
    )


def _make_list_index(metadata: MetaData, name: str, columns: tuple[str, ...], where: str | None) -> Index:
    condition = None if where is None else text(where)
    name = f"{name_table(metadata, 'tenants')}_{name}_idx"
    return Index(name, *columns, postgresql_where=condition, sqlite_where=condition)


#: The request field that each unique constraint protects, by the constraint's column.
UNIQUE_FIELDS = {"email_key": "email", "external_id": "external_id"}


def get_unique_field(constraint: str) -> str:
    """Return the request field that the unique constraint of this name protects."""
    return next(field for column, field in UNIQUE_FIELDS.items() if column in constraint)


_MAX_INDEX_NAME = 62
#: The end of each index's name, and the columns before and after the custom field.
_CUSTOM_INDEXES = (
    ("created_idx", ("partner_id",), ("status", "created_at", "id")),
    ("name_idx", ("partner_id",), ("status", "name_key", "id")),
    ("every_idx", (), ("status", "created_at", "id")),
)
_SUFFIX_LENGTH = max(len(ending) for ending, _, _ in _CUSTOM_INDEXES) + 1


def make_custom_field_indexes(prefix: str, custom: TenantFields | None) -> IndexSet:
    """Return the indexes of the filterable custom fields, for the table of tenants with this prefix."""
    table = tenants_table(make_metadata(prefix))
    indexes = [
        _make_custom_index(table, name, *kind)
        for name in (custom.filterable if custom else ())
        for kind in _CUSTOM_INDEXES
    ]
    return IndexSet(table, _make_index_prefix(table), indexes)


def _make_index_prefix(table: Table) -> str:
    return f"{table.name}_own_"


def _make_custom_index(table: Table, name: str, ending: str, before: tuple[str, ...], after: tuple[str, ...]) -> Index:
    member, c, start = JsonMember(table.c.fields, name), table.c, _make_index_prefix(table)
    full = f"{start}{_shorten_name(name, _MAX_INDEX_NAME - len(start) - _SUFFIX_LENGTH)}_{ending}"
    return Index(full, *(c[column] for column in before), member, *(c[column] for column in after))


def _shorten_name(name: str, room: int) -> str:
    """Return the name, with a digest if it is longer than `room` or not lower case: SQLite ignores case in names."""
    if len(name) <= room and name.islower():
        return name
    return f"{name[: room - 9].lower()}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
