"""The SQL of tenants, and the SELECT of one page of a list.

Every list index has the status before the sorted column. The tenants of one status are therefore one ordered range of
an index, and a list of living tenants merges four ranges, without reading deleted tenants in between.
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
    literal,
    literal_column,
    or_,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from ..database.session import Storage
from ..database.statements import (
    SQL,
    InsertPair,
    Statement,
    bind_new_values,
    look_up_each,
    match_version,
    select_incoming,
    union_ordered,
)
from ..database.types import JsonMember, JsonScalar
from .custom_fields import CUSTOM_FILTER_PREFIX
from .models import Tenant

Columns = ReadOnlyColumnCollection[str, Any]
Condition = ColumnElement[bool]
Compare = Callable[[Any, Any], Condition]
_PAGE_COLUMNS = (*Tenant._fields, "name_key")
_EQUAL_COLUMNS = {
    "partner": "partner_id",
    "email": "email_key",
    "external_id": "external_id",
    "plan": "plan",
    "industry": "industry",
}
_CREATED_BOUNDS, _UPDATED_BOUNDS = ("created_after", "created_before"), ("updated_after", "updated_before")
_LOWER_BOUNDS: Mapping[str, Compare] = {"created_after": gt, "updated_after": gt, "q": ge}
_UPPER_BOUNDS: Mapping[str, Compare] = {"created_before": lt, "updated_before": lt, "q_end": le}


class PageShape(NamedTuple):
    """The parts of a query that determine the text of the page's statement: everything but the values."""

    filters: tuple[str, ...]
    statuses: tuple[str, ...]
    sort: str
    has_cursor: bool
    #: The number of rows as a literal; None if it is a parameter.
    limit: int | None


def select_page(table: Table, shape: PageShape, dialect: Dialect) -> Select[Any]:
    """Build the SELECT of a page of tenants, each row with its `name_key` at the end."""
    t = table.alias("t").c
    limit = bindparam("limit", type_=Integer) if shape.limit is None else literal_column(str(shape.limit), Integer)
    stretches = [and_(*conditions) for conditions in _PageConditions(t, shape).iterate_stretches()]
    if len(stretches) == 1:
        return _select_columns(t).where(*stretches).order_by(*_order_by(t, shape.sort)).limit(limit)
    parts = [_select_bare_columns(t).where(stretch) for stretch in stretches]
    rows = union_ordered(parts, _order_by(t, shape.sort), limit, dialect).c
    return _select_columns(rows).order_by(*_order_by(rows, shape.sort)).limit(limit)


def _select_columns(columns: Columns) -> Select[Any]:
    return select(*(columns[name] for name in _PAGE_COLUMNS))


def _select_bare_columns(t: Columns) -> Select[Any]:
    """Select the same columns without table names and labels.

    This keeps the statement short: psycopg parses statements over 4 KiB again at each execution.
    """
    return select(*(column(name, t[name].type) for name in _PAGE_COLUMNS))


def _order_by(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    place = _sort_columns(columns, sort)
    return [part.desc() for part in place] if sort.startswith("-") else place


def _sort_columns(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    """Return the columns of the sort order: the sorted column, then the unique id."""
    return (columns.name_key if sort.endswith("client_name") else columns.created_at), columns.id


class _PageConditions:
    """The WHERE conditions of a page."""

    def __init__(self, t: Columns, shape: PageShape) -> None:
        self.t = t
        self.shape = shape
        self.is_descending = shape.sort.startswith("-")

    def iterate_stretches(self) -> Iterator[Sequence[Condition]]:
        """Iterate over the index ranges of the page, each as all of its conditions."""
        created, names = (
            self._match_open_bounds("created_at", *_CREATED_BOUNDS),
            self._match_open_bounds("name_key", "q", "q_end"),
        )
        shared = [*self._match_equal(), *self._match_after(), *created, *names]
        is_by_unique_value = {"email", "external_id"} & set(self.shape.filters)
        for conditions in self._match_unique_value() if is_by_unique_value else self._match_status():
            yield from ([*shared, *conditions, *updated] for updated in self._match_updated())

    def _match_status(self) -> Iterator[Sequence[Condition]]:
        for status in self.shape.statuses:
            yield self.t.status == status, *(self._match_restorable() if status == "deleted" else ())

    def _match_unique_value(self) -> Iterator[Sequence[Condition]]:
        """Match living and deleted tenants by a unique value: few enough to sort.

        The status is wrapped in an expression so that SQLite does not choose an index for its order and scan it.
        """
        living = [status for status in self.shape.statuses if status != "deleted"]
        if living:
            status = func.coalesce(self.t.status, "")
            yield self.t.live == 1, or_(*(status == one for one in living))
        if len(living) < len(self.shape.statuses):
            yield self.t.live.is_(None), *self._match_restorable()

    def _match_equal(self) -> Iterator[Condition]:
        for name in self.shape.filters:
            if name in _EQUAL_COLUMNS:
                yield self.t[_EQUAL_COLUMNS[name]] == bindparam(name)
            elif name.startswith(CUSTOM_FILTER_PREFIX):
                yield JsonMember(self.t.fields, name.removeprefix(CUSTOM_FILTER_PREFIX)) == JsonScalar(
                    bindparam(name, type_=String)
                )

    def _match_restorable(self) -> Iterator[Condition]:
        """Match tenants whose retention is not over. An expression, so that the index on `purge_at` is not chosen."""
        now = bindparam("now", type_=self.t.purge_at.type)
        yield func.coalesce(self.t.purge_at, self.t.deleted_at) > now

    def _match_updated(self) -> Iterator[Sequence[Condition]]:
        """Match `updated_after` and `updated_before`: unchanged tenants by their creation, others by a partial index.

        The partial index costs a create nothing. It is used only if its condition is in the statement word for word.
        A tenant updated before some time was also created before it.
        """
        if "updated_after" in self.shape.filters:
            yield self.t.version == 1, *self._match_bounds("created_at", *_UPDATED_BOUNDS)
            yield self.t.version > literal_column("1"), *self._match_bounds("updated_at", *_UPDATED_BOUNDS)
        else:
            yield (
                *self._match_bounds("created_at", *_UPDATED_BOUNDS),
                *self._match_bounds("updated_at", *_UPDATED_BOUNDS),
            )

    def _match_open_bounds(self, name: str, *bounds: str) -> Iterator[Condition]:
        """Match the bounds, without the one that the cursor makes redundant: SQLite would start the scan from it."""
        behind = _UPPER_BOUNDS if self.is_descending else _LOWER_BOUNDS
        continued = self.shape.has_cursor and self.t[name] is _sort_columns(self.t, self.shape.sort)[0]
        return self._match_bounds(name, *(bound for bound in bounds if not (continued and bound in behind)))

    def _match_bounds(self, name: str, *bounds: str) -> Iterator[Condition]:
        for bound in bounds:
            if bound.removesuffix("_end") in self.shape.filters:
                compare = _LOWER_BOUNDS.get(bound) or _UPPER_BOUNDS[bound]
                yield compare(self.t[name], bindparam(bound, type_=self.t[name].type))

    def _match_after(self) -> Iterator[Condition]:
        if self.shape.has_cursor:
            key, last = _sort_columns(self.t, self.shape.sort)
            end = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=last.type))
            yield tuple_(key, last) < end if self.is_descending else tuple_(key, last) > end


#: The comparison columns of the fields that are unique among a partner's living tenants.
KEY_COLUMNS = {"email": "email_key", "external_id": "external_id"}


class TenantSQL(SQL):
    """The statements about tenants, compiled once per storage; those of lists at first use, one per `PageShape`."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self.table = storage.table("tenants")
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.id == bindparam("id"))
        self.create = InsertPair(self.table, storage.table("events"), self._dialect)
        self.read = self._compile(self._rows().where(mine))
        self.read_of_any_partner = self._compile(self._rows().where(t.id == bindparam("id")))
        self.lock = self._compile(self._rows().where(mine).with_for_update())
        self.holders = self._compile(self._holders())
        self.find_holders = self._compile(self._all_holders())
        external = and_(t.partner_id == bindparam("partner_id"), t.external_id == bindparam("external_id"), t.live == 1)
        self.lock_external = self._compile(self._rows().where(external).with_for_update())
        self.find_external = self._compile(select(t.id).where(external))
        self.lock_many = self._compile(self._lock_many())
        self.hidden = self._compile(select(t.status_before, t.email_key).where(mine))
        self.due = self._compile(self._due())
        self.remove = self._compile(self.table.delete().where(match_version(self.table)))

    def change(self, columns: tuple[str, ...]) -> Statement:
        """Return the update of these columns of one version of a tenant."""
        return self._once(self._change, columns)

    def page(self, shape: PageShape) -> Statement:
        """Return the SELECT of a page of this shape."""
        return self._once(self._page, shape)

    def _page(self, shape: PageShape) -> Any:
        return select_page(self.table, shape, self._dialect)

    def _rows(self, *more: ColumnElement[Any]) -> Select[Any]:
        return select(*(self.table.c[name] for name in Tenant._fields), *more)

    def _holders(self) -> Select[Any]:
        """Select the living tenants that hold an email or an external id."""
        t = self.table.c
        is_holder = or_(t.email_key == bindparam("email_key"), t.external_id == bindparam("external_id"))
        return select(t.id, t.email_key).where(t.partner_id == bindparam("partner_id"), t.live == 1, is_holder)

    def _all_holders(self) -> Any:
        """Select the living tenants that hold an email or external id of many rows, with the field and its key."""
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.live == 1)
        keys = {field: t[name] for field, name in KEY_COLUMNS.items()}
        incoming = select_incoming(self._dialect, **{key.name: key.type for key in keys.values()})
        selects = ((select(t.id, literal(field), key).where(mine), key) for field, key in keys.items())
        return union_all(*(look_up_each(rows, key, incoming, self._dialect) for rows, key in selects))

    def _lock_many(self) -> Any:
        """Select and lock the tenants that rows name by `id`, and living ones with their `external_id` or `email_key`.

        Every transaction locks them in the order of their ids, which prevents deadlocks.
        """
        t, names = self.table.c, KEY_COLUMNS.values()
        mine = t.partner_id == bindparam("partner_id")
        incoming = select_incoming(self._dialect, **{name: t[name].type for name in ("id", *names)})
        living = select(t.id).where(mine, t.live == 1)
        holders = (look_up_each(living, t[name], incoming, self._dialect) for name in names)
        ids = union_all(select(incoming.c.id), *holders).subquery()
        distinct_ids = select(ids.c.id).distinct().order_by(ids.c.id).subquery("wanted")
        rows = self._rows(t.email_key, t.live).where(mine).with_for_update()
        return look_up_each(rows, t.id, distinct_ids, self._dialect)

    def _due(self) -> Select[Any]:
        """Select the deleted tenants whose retention is over, the earliest first."""
        t = self.table.c
        due = and_(t.purge_at <= bindparam("now", type_=t.purge_at.type), t.status == "deleted")
        return select(t.partner_id, t.id).where(due).order_by(t.purge_at).limit(bindparam("limit", type_=Integer))

    def _change(self, columns: tuple[str, ...]) -> Any:
        t = self.table.c
        values = bind_new_values(t, (*columns, "updated_at"))
        return self.table.update().where(match_version(self.table)).values({**values, "version": t.version + 1})
