"""The table of partners."""

from __future__ import annotations

from typing import Any, NamedTuple

from sqlalchemy import Column, Integer, MetaData, PrimaryKeyConstraint, String, Table

from ..database import shown
from ..database.tables import prefixed
from ..database.types import Instant, ordered_text

STATUSES = ("active", "suspended")
#: What an administrator writes.
WRITABLE = ("name", "contact", "status", "suspended_reason")


class Partner(NamedTuple):
    """One partner."""

    partner_id: str
    name: str | None
    contact: str | None
    status: str
    suspended_reason: str | None
    version: int
    created_at: str
    updated_at: str

    def document(self) -> dict[str, Any]:
        """The partner as the API shows it."""
        found = self._asdict()
        times = {name: shown(found[name]) for name in ("created_at", "updated_at")}
        return {"partner": found.pop("partner_id"), **found, **times}


def partners_table(metadata: MetaData) -> Table:
    """One row a partner that has called, or that an administrator has registered."""
    return Table(
        prefixed(metadata, "partners"),
        metadata,
        Column("partner_id", ordered_text(255), nullable=False),
        Column("name", String(255)),
        Column("contact", String(255)),
        Column("status", String(16), nullable=False),
        Column("suspended_reason", String(500)),
        Column("version", Integer, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("updated_at", Instant, nullable=False),
        PrimaryKeyConstraint("partner_id"),
        sqlite_with_rowid=False,
    )
