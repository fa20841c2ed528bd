"""The table of partners."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from sqlalchemy import Column, Index, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ..database.ids import shorten_instant
from ..database.types import Instant, JsonText, name_table, ordered_text

STATUSES = ("active", "suspended")
#: The fields that an administrator may write.
WRITABLE = ("name", "contact", "status", "suspended_reason", "parent", "max_tenants", "allowed_plans")


class Partner(NamedTuple):
    """One partner. `allowed_plans` is a JSON list as text. None in it or in `max_tenants` means no limit."""

    partner_id: str
    name: str | None
    contact: str | None
    status: str
    suspended_reason: str | None
    parent: str | None
    max_tenants: int | None
    allowed_plans: str | None
    version: int
    created_at: str
    updated_at: str

    def list_allowed_plans(self) -> list[str] | None:
        """Return the plans that its tenants may have; None if all are allowed."""
        return None if self.allowed_plans is None else json.loads(self.allowed_plans)

    def document(self) -> dict[str, Any]:
        """Return the partner as in responses, ready for JSON."""
        columns = self._asdict()
        times = {name: shorten_instant(columns[name]) for name in ("created_at", "updated_at")}
        return {"partner": columns.pop("partner_id"), **columns, "allowed_plans": self.list_allowed_plans(), **times}


def partners_table(metadata: MetaData) -> Table:
    """Build the table of partners: those that have made a request or were registered by an administrator."""
    parent: Column[str] = Column("parent", ordered_text(255))
    return Table(
        name_table(metadata, "partners"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("name", String(255)),
        Column("contact", String(255)),
        Column("status", String(16), nullable=False),
        Column("suspended_reason", String(500)),
        Column("max_tenants", Integer),
        Column("allowed_plans", JsonText),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        parent,
        PrimaryKeyConstraint("partner_id"),
        Index(None, "parent", postgresql_where=parent.is_not(None), sqlite_where=parent.is_not(None)),
        sqlite_with_rowid=False,
    )
