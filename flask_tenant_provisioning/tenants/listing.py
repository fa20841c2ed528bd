"""Lists of tenants: one page at a time, each at the same cost however deep it lies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

from ..database import Session, instant
from ..database.paging import read_page, text_size
from .fields import LONGEST_NAME
from .models import Tenant, document
from .own_filters import OWN
from .pages import Shape
from .statements import TenantSQL

_FILTERS = (
    "status", "email", "external_id", "plan", "industry",
    "created_after", "created_before", "updated_after", "updated_before", "q",
)  # fmt: skip
_PLACE = "\n"
_METADATA, _FIELDS = Tenant._fields.index("metadata"), Tenant._fields.index("fields")
#: What the other columns of a tenant have together, in bytes; rarely more.
_SHORT = 500

#: Every status of a tenant that is not deleted.
LIVING = ("active", "suspended", "provisioning", "failed")

DEFAULT_LIMIT = 50

#: The filters that the index of a sort serves as well, whatever their values are.
_OF_ONE_INDEX = {
    "created_at": {"partner", "created_after", "created_before"},
    "client_name": {"partner", "q"},
}


def question(partner: str | None, asked: Mapping[str, Any]) -> str:
    """What a cursor is bound to: whose tenants, in which order, under which filters."""
    filters = sorted((name, asked[name]) for name in (*_filters(asked), "include_deleted") if name in asked)
    return repr((partner, asked["sort"], filters))


def page(
    session: Session, partner: str | None, asked: Mapping[str, Any], place: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """The documents of one page after `place`, and the place where it ends; None where nothing follows."""
    filters = _values(partner, asked)
    known = {"now": instant(session.storage.clock())}
    if "q" in filters:
        known["q_end"] = last_with(filters["q"])

    def rows(count: int, behind: str | None) -> Sequence[tuple[Any, ...]]:
        values = {**filters, **known, "limit": count}
        if behind is not None:
            values["after_key"], _, values["after_id"] = behind.rpartition(_PLACE)
        shape = _shape(filters, asked, count, behind is not None)
        found: list[tuple[Any, ...]] = session.run(session.storage.once(TenantSQL).page(shape), values).fetchall()
        return found

    found, end = read_page(rows, asked["limit"], place, partial(_end, sort=asked["sort"]), _size, bound=_bound)
    own = session.storage.hooks.fields
    return [document(row[:-1], own) for row in found], end


def _values(partner: str | None, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every filter but the status, which decides what is read rather than what is left out."""
    values = {name: asked[name] for name in _filters(asked) if name in asked and name != "status"}
    return values if partner is None else {"partner": partner, **values}


def _filters(asked: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of everybody's filters, and of those of the host's own that are asked."""
    return (*_FILTERS, *(name for name in asked if name.startswith(OWN)))


def _shape(values: Mapping[str, Any], asked: Mapping[str, Any], count: int, after: bool) -> Shape:
    """What the page's statement looks like.

    A database plans a text with its limit in it once for all values, one with a parameter for the limit anew for
    each: the most frequent pages are of the first kind, and those whose best plan depends on values of the second.
    """
    sort = asked["sort"]
    settled = count == DEFAULT_LIMIT + 1 and values.keys() <= _OF_ONE_INDEX[sort.lstrip("-")]
    return Shape(tuple(values), _statuses(asked), sort, after, DEFAULT_LIMIT + 1 if settled else None)


def _statuses(asked: Mapping[str, Any]) -> tuple[str, ...]:
    if "status" in asked:
        return (asked["status"],)
    return (*LIVING, "deleted") if asked["include_deleted"] else LIVING


def last_with(prefix: str) -> str:
    """The last of all names that begin with `prefix`."""
    return prefix.ljust(LONGEST_NAME, "\U0010ffff")


def _size(row: tuple[Any, ...]) -> int:
    """Return how many bytes a row has: what may be large of it is looked at alone, since lists are read often."""
    return _SHORT + text_size(row[_METADATA]) + text_size(row[_FIELDS])


def _bound(rows: Sequence[tuple[Any, ...]]) -> int:
    """Return an upper bound of what rows have together: four bytes for each character of what may be large."""
    fields = filter(None, map(itemgetter(_FIELDS), rows))
    return _SHORT * len(rows) + 4 * sum(map(len, chain(map(itemgetter(_METADATA), rows), fields)))


def _end(row: tuple[Any, ...], sort: str) -> str:
    tenant = Tenant._make(row[:-1])
    key = row[-1] if sort.endswith("client_name") else tenant.created_at
    return f"{key}{_PLACE}{tenant.id}"
