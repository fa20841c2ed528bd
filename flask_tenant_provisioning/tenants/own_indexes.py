"""The indexes that serve lists filtered by the host's own fields: for each the same as for a plan or an industry.

None is partial: PostgreSQL takes what it knows of an expression's values from whole indexes alone.
"""

from __future__ import annotations

import hashlib

from sqlalchemy import Index, Table

from ..database.documents import Member
from ..database.indexes import IndexSet
from ..database.tables import empty_metadata
from ..hooks import TenantFields
from .models import tenants_table

_LONGEST = 62
#: How each ends, and the columns before and after the field.
_KINDS = (
    ("created_idx", ("partner_id",), ("status", "created_at", "id")),
    ("name_idx", ("partner_id",), ("status", "name_key", "id")),
    ("every_idx", (), ("status", "created_at", "id")),
)
_ROOM = max(len(ending) for ending, _, _ in _KINDS) + 1


def own_indexes(prefix: str, own: TenantFields | None) -> IndexSet:
    """The indexes of the fields that lists are filtered by, on a table of tenants with this prefix."""
    table = tenants_table(empty_metadata(prefix))
    wanted = [_index(table, name, *kind) for name in (own.filterable if own else ()) for kind in _KINDS]
    return IndexSet(table, _beginning(table), wanted)


def _beginning(table: Table) -> str:
    return f"{table.name}_own_"


def _index(table: Table, name: str, ending: str, before: tuple[str, ...], after: tuple[str, ...]) -> Index:
    member, c, start = Member(table.c.fields, name), table.c, _beginning(table)
    full = f"{start}{_label(name, _LONGEST - len(start) - _ROOM)}_{ending}"
    return Index(full, *(c[one] for one in before), member, *(c[one] for one in after))


def _label(name: str, room: int) -> str:
    """The field's name; one that is too long, or not told from another by SQLite, with a digest of it."""
    if len(name) <= room and name.islower():
        return name
    return f"{name[: room - 9].lower()}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
