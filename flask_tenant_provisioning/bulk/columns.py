"""The columns that a table of rows may have: each is a field that a row of the operation may name."""

from __future__ import annotations

from ..hooks import TenantFields
from ..tenants.declaration import OF_ROWS
from ..tenants.fields import LONGEST_KEY
from ..tenants.models import WRITABLE
from .reading import IsColumn

METADATA = "metadata"
#: What the names of columns begin with that are members of the tenant's metadata.
METADATA_PREFIX = f"{METADATA}."

_WRITTEN = frozenset(WRITABLE) - {METADATA}
_NAMES = {
    "create": _WRITTEN,
    "upsert": _WRITTEN,
    "update": _WRITTEN | {"tenant"},
    "suspend": frozenset({"tenant", "external_id", "reason"}),
    "reactivate": frozenset({"tenant", "external_id"}),
    "delete": frozenset({"tenant", "external_id"}),
}


def columns_of(operation: str, own: TenantFields | None) -> IsColumn:
    """The predicate for the names of columns that rows of `operation` may have, with the host's `own` fields."""
    names = _NAMES[operation] | {OF_ROWS}
    writes = _NAMES[operation] >= _WRITTEN
    if writes and own is not None:
        names |= {name for name, field in own.fields.items() if not field.dump_only}

    def is_column(name: str) -> bool:
        key = name.removeprefix(METADATA_PREFIX)
        return name in names or (writes and key != name and 1 <= len(key) <= LONGEST_KEY)

    return is_column
