"""The SELECT of one page of a list.

Every index of a list has the status before the column that it is sorted by. The tenants of one status are thus one
ordered stretch of an index, the living ones are four of them, merged; the deleted never lie in the way of the living.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    String,
    Table,
    and_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from ..database.documents import Member, Scalar
from ..database.merging import merged
from .models import Tenant
from .own_filters import OWN

Columns = ReadOnlyColumnCollection[str, Any]
Condition = ColumnElement[bool]
Compare = Callable[[Any, Any], Condition]

_SHOWN = (*Tenant._fields, "name_key")
_EQUAL = {
    "partner": "partner_id",
    "email": "email_key",
    "external_id": "external_id",
    "plan": "plan",
    "industry": "industry",
}
_CREATED, _UPDATED = ("created_after", "created_before"), ("updated_after", "updated_before")
_LOWER: Mapping[str, Compare] = {"created_after": gt, "updated_after": gt, "q": ge}
_UPPER: Mapping[str, Compare] = {"created_before": lt, "updated_before": lt, "q_end": le}


class Shape(NamedTuple):
    """What decides the text of a page's statement: all that is asked but the values."""

    filters: tuple[str, ...]
    statuses: tuple[str, ...]
    sort: str
    after: bool
    #: How many rows; None where that is a parameter.
    limit: int | None


def page(table: Table, shape: Shape, dialect: Dialect) -> Select[Any]:
    """A page of the rows that match, each with its `name_key` at the end."""
    t = table.alias("t").c
    limit = bindparam("limit", type_=Integer) if shape.limit is None else literal_column(str(shape.limit), Integer)
    stretches = [and_(*conditions) for conditions in _Conditions(t, shape).of_stretches()]
    if len(stretches) == 1:
        return _shown(t).where(*stretches).order_by(*_order(t, shape.sort)).limit(limit)
    parts = [_stored(t).where(stretch) for stretch in stretches]
    rows = merged(parts, _order(t, shape.sort), limit, dialect).c
    return _shown(rows).order_by(*_order(rows, shape.sort)).limit(limit)


def _shown(columns: Columns) -> Select[Any]:
    return select(*(columns[name] for name in _SHOWN))


def _stored(t: Columns) -> Select[Any]:
    """The same as it is stored. Without tables and labels: psycopg reads a text over 4 KiB anew each time."""
    return select(*(column(name, t[name].type) for name in _SHOWN))


def _order(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    place = _place(columns, sort)
    return [part.desc() for part in place] if sort.startswith("-") else place


def _place(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    """Where a row stands: what it is sorted by, and its id, which no other has."""
    return (columns.name_key if sort.endswith("client_name") else columns.created_at), columns.id


class _Conditions:
    """Which rows a page is made of."""

    def __init__(self, t: Columns, shape: Shape) -> None:
        self.t = t
        self.shape = shape
        self.falls = shape.sort.startswith("-")

    def of_stretches(self) -> Iterator[Sequence[Condition]]:
        """All conditions of each stretch."""
        created, names = self._unpassed("created_at", *_CREATED), self._unpassed("name_key", "q", "q_end")
        shared = [*self._equal(), *self._after(), *created, *names]
        claimed = {"email", "external_id"} & set(self.shape.filters)
        for one in self._by_claim() if claimed else self._by_status():
            yield from ([*shared, *one, *updated] for updated in self._updated())

    def _by_status(self) -> Iterator[Sequence[Condition]]:
        for status in self.shape.statuses:
            yield self.t.status == status, *(self._restorable() if status == "deleted" else ())

    def _by_claim(self) -> Iterator[Sequence[Condition]]:
        """The living and the deleted who have a value that is unique: few enough to be sorted.

        The status is an expression, lest SQLite take an index for its order and read it all.
        """
        living = [status for status in self.shape.statuses if status != "deleted"]
        if living:
            status = func.coalesce(self.t.status, "")
            yield self.t.live == 1, or_(*(status == one for one in living))
        if len(living) < len(self.shape.statuses):
            yield self.t.live.is_(None), *self._restorable()

    def _equal(self) -> Iterator[Condition]:
        for name in self.shape.filters:
            if name in _EQUAL:
                yield self.t[_EQUAL[name]] == bindparam(name)
            elif name.startswith(OWN):
                yield Member(self.t.fields, name.removeprefix(OWN)) == Scalar(bindparam(name, type_=String))

    def _restorable(self) -> Iterator[Condition]:
        """Not over yet. An expression, lest the index of what is to be purged be taken for a list's."""
        now = bindparam("now", type_=self.t.purge_at.type)
        yield func.coalesce(self.t.purge_at, self.t.deleted_at) > now

    def _updated(self) -> Iterator[Sequence[Condition]]:
        """The tenants that never changed, by the time of their creation; and the others, which have an index of theirs.

        That index costs a create nothing; it is taken where its condition stands in the statement to the letter.
        What was updated before some time was created before it too.
        """
        if "updated_after" in self.shape.filters:
            yield self.t.version == 1, *self._bounds("created_at", *_UPDATED)
            yield self.t.version > literal_column("1"), *self._bounds("updated_at", *_UPDATED)
        else:
            yield *self._bounds("created_at", *_UPDATED), *self._bounds("updated_at", *_UPDATED)

    def _unpassed(self, name: str, *bounds: str) -> Iterator[Condition]:
        """These bounds but for the one that lies behind whoever continues: SQLite would begin there again."""
        behind = _UPPER if self.falls else _LOWER
        continued = self.shape.after and self.t[name] is _place(self.t, self.shape.sort)[0]
        return self._bounds(name, *(bound for bound in bounds if not (continued and bound in behind)))

    def _bounds(self, name: str, *bounds: str) -> Iterator[Condition]:
        for bound in bounds:
            if bound.removesuffix("_end") in self.shape.filters:
                compare = _LOWER.get(bound) or _UPPER[bound]
                yield compare(self.t[name], bindparam(bound, type_=self.t[name].type))

    def _after(self) -> Iterator[Condition]:
        if self.shape.after:
            key, last = _place(self.t, self.shape.sort)
            end = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=last.type))
            yield tuple_(key, last) < end if self.falls else tuple_(key, last) > end
