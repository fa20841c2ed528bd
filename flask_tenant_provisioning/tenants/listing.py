"""Lists of tenants: one page at a time, each at the same cost however deep it lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..database import Session
from .models import Tenant, document
from .statements import TenantSQL

_FILTERS = (
    "status", "email", "external_id", "plan", "industry",
    "created_after", "created_before", "updated_after", "updated_before", "q",
)  # fmt: skip
_PLACE = "\n"


def question(partner: str | None, asked: Mapping[str, Any]) -> str:
    """What a cursor is bound to: whose tenants, in which order, under which filters."""
    filters = sorted((name, asked[name]) for name in (*_FILTERS, "include_deleted") if name in asked)
    return repr((partner, asked["sort"], filters))


def page(
    session: Session, partner: str | None, asked: Mapping[str, Any], place: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The documents of one page after `place`, and the place where it ends; None where nothing follows."""
    filters, values = _filters(partner, asked)
    if place is not None:
        values["after_key"], _, values["after_id"] = place.rpartition(_PLACE)
    limit, sort = asked["limit"], asked["sort"]
    statement = session.storage.once(TenantSQL).page(filters, sort, place is not None)
    rows = session.run(statement, {**values, "limit": limit + 1}).fetchall()
    more, rows = len(rows) > limit, rows[:limit]
    return [document(row[:-1]) for row in rows], _end(rows[-1], sort) if more else None


def _filters(partner: str | None, asked: Mapping[str, Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    values = {name: asked[name] for name in _FILTERS if name in asked}
    if "q" in values:
        values["q_end"] = values["q"] + "\U0010ffff"
    if partner is not None:
        values["partner"] = partner
    names = tuple(name for name in values if name != "q_end")
    if not asked["include_deleted"] and asked.get("status") != "deleted":
        names += ("live",)
    return names, values


def _end(row: tuple[Any, ...], sort: str) -> str:
    tenant = Tenant._make(row[:-1])
    key = row[-1] if sort.endswith("client_name") else tenant.created_at
    return f"{key}{_PLACE}{tenant.id}"
