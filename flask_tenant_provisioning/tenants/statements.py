"""The SQL of tenants, and the SELECT of one page of a list.

Every index of a list has the status before the column that it is sorted by. The tenants of one status are thus one
ordered stretch of an index; the living ones are four stretches, merged; deleted tenants never lie between living ones.
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
    """What decides the text of a page's statement: all that is asked but the values."""

    filters: tuple[str, ...]
    statuses: tuple[str, ...]
    sort: str
    after: bool
    #: How many rows; None where that is a parameter.
    limit: int | None


def select_page(table: Table, shape: PageShape, dialect: Dialect) -> Select[Any]:
    """A page of the rows that match, each with its `name_key` at the end."""
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
    """The same as it is stored. Without tables and labels: psycopg reads a text over 4 KiB anew each time."""
    return select(*(column(name, t[name].type) for name in _PAGE_COLUMNS))


def _order_by(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    place = _sort_columns(columns, sort)
    return [part.desc() for part in place] if sort.startswith("-") else place


def _sort_columns(columns: Columns, sort: str) -> Sequence[ColumnElement[Any]]:
    """Where a row stands: what it is sorted by, and its id, which no other has."""
    return (columns.name_key if sort.endswith("client_name") else columns.created_at), columns.id


class _PageConditions:
    """Which rows a page is made of."""

    def __init__(self, t: Columns, shape: PageShape) -> None:
        self.t = t
        self.shape = shape
        self.falls = shape.sort.startswith("-")

    def iterate_stretches(self) -> Iterator[Sequence[Condition]]:
        """All conditions of each stretch."""
        created, names = (
            self._select_open_bounds("created_at", *_CREATED_BOUNDS),
            self._select_open_bounds("name_key", "q", "q_end"),
        )
        shared = [*self._equal(), *self._after(), *created, *names]
        claimed = {"email", "external_id"} & set(self.shape.filters)
        for one in self._by_claim() if claimed else self._by_status():
            yield from ([*shared, *one, *updated] for updated in self._updated())

    def _by_status(self) -> Iterator[Sequence[Condition]]:
        for status in self.shape.statuses:
            yield self.t.status == status, *(self._select_restorable() if status == "deleted" else ())

    def _by_claim(self) -> Iterator[Sequence[Condition]]:
        """The living and the deleted who have a value that is unique: few enough to be sorted.

        The status is an expression, lest SQLite take an index for its order and read it all.
        """
        living = [status for status in self.shape.statuses if status != "deleted"]
        if living:
            status = func.coalesce(self.t.status, "")
            yield self.t.live == 1, or_(*(status == one for one in living))
        if len(living) < len(self.shape.statuses):
            yield self.t.live.is_(None), *self._select_restorable()

    def _equal(self) -> Iterator[Condition]:
        for name in self.shape.filters:
            if name in _EQUAL_COLUMNS:
                yield self.t[_EQUAL_COLUMNS[name]] == bindparam(name)
            elif name.startswith(CUSTOM_FILTER_PREFIX):
                yield JsonMember(self.t.fields, name.removeprefix(CUSTOM_FILTER_PREFIX)) == JsonScalar(
                    bindparam(name, type_=String)
                )

    def _select_restorable(self) -> Iterator[Condition]:
        """Not over yet. An expression, lest the index of what is to be purged be taken for a list's."""
        now = bindparam("now", type_=self.t.purge_at.type)
        yield func.coalesce(self.t.purge_at, self.t.deleted_at) > now

    def _updated(self) -> Iterator[Sequence[Condition]]:
        """The tenants that never changed, by the time of their creation; and the others, which have an index of theirs.

        That index costs a create nothing; it is taken where its condition stands in the statement to the letter.
        What was updated before some time was created before it too.
        """
        if "updated_after" in self.shape.filters:
            yield self.t.version == 1, *self._bounds("created_at", *_UPDATED_BOUNDS)
            yield self.t.version > literal_column("1"), *self._bounds("updated_at", *_UPDATED_BOUNDS)
        else:
            yield *self._bounds("created_at", *_UPDATED_BOUNDS), *self._bounds("updated_at", *_UPDATED_BOUNDS)

    def _select_open_bounds(self, name: str, *bounds: str) -> Iterator[Condition]:
        """These bounds but for the one that lies behind whoever continues: SQLite would begin there again."""
        behind = _UPPER_BOUNDS if self.falls else _LOWER_BOUNDS
        continued = self.shape.after and self.t[name] is _sort_columns(self.t, self.shape.sort)[0]
        return self._bounds(name, *(bound for bound in bounds if not (continued and bound in behind)))

    def _bounds(self, name: str, *bounds: str) -> Iterator[Condition]:
        for bound in bounds:
            if bound.removesuffix("_end") in self.shape.filters:
                compare = _LOWER_BOUNDS.get(bound) or _UPPER_BOUNDS[bound]
                yield compare(self.t[name], bindparam(bound, type_=self.t[name].type))

    def _after(self) -> Iterator[Condition]:
        if self.shape.after:
            key, last = _sort_columns(self.t, self.shape.sort)
            end = tuple_(bindparam("after_key", type_=key.type), bindparam("after_id", type_=last.type))
            yield tuple_(key, last) < end if self.falls else tuple_(key, last) > end


#: By which column those fields are compared that are unique among a partner's living tenants.
KEY_COLUMNS = {"email": "email_key", "external_id": "external_id"}


class TenantSQL(SQL):
    """The statements of one storage. Those of lists are compiled at their first use, one per shape of question."""

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
        self.lock_many = self._compile(self._lock_many())
        self.hidden = self._compile(select(t.status_before, t.email_key).where(mine))
        self.due = self._compile(self._due())
        self.remove = self._compile(self.table.delete().where(self._one_version()))

    def change(self, columns: tuple[str, ...]) -> Statement:
        """An update of just these columns of one version of one tenant."""
        return self._once(self._change, columns)

    def page(self, shape: PageShape) -> Statement:
        """A page of a list."""
        return self._once(self._page, shape)

    def _page(self, shape: PageShape) -> Any:
        return select_page(self.table, shape, self._dialect)

    def _rows(self, *more: ColumnElement[Any]) -> Select[Any]:
        return select(*(self.table.c[name] for name in Tenant._fields), *more)

    def _holders(self) -> Select[Any]:
        """The living tenants that hold one of two values."""
        t = self.table.c
        held = or_(t.email_key == bindparam("email_key"), t.external_id == bindparam("external_id"))
        return select(t.id, t.email_key).where(t.partner_id == bindparam("partner_id"), t.live == 1, held)

    def _all_holders(self) -> Any:
        """The same for many: which tenant holds which of the fields `email` and `external_id` of each row."""
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.live == 1)
        keys = {field: t[name] for field, name in KEY_COLUMNS.items()}
        given = select_incoming(self._dialect, **{key.name: key.type for key in keys.values()})
        held = ((select(t.id, literal(field), key).where(mine), key) for field, key in keys.items())
        return union_all(*(look_up_each(found, key, given, self._dialect) for found, key in held))

    def _lock_many(self) -> Any:
        """The tenants that rows name by `id`, and the living ones that hold their `external_id` or `email_key`.

        They are locked in the order of their ids, by everybody: who waits for another is not waited for.
        """
        t, names = self.table.c, KEY_COLUMNS.values()
        mine = t.partner_id == bindparam("partner_id")
        given = select_incoming(self._dialect, **{name: t[name].type for name in ("id", *names)})
        living = select(t.id).where(mine, t.live == 1)
        held = (look_up_each(living, t[name], given, self._dialect) for name in names)
        named = union_all(select(given.c.id), *held).subquery()
        wanted = select(named.c.id).distinct().order_by(named.c.id).subquery("wanted")
        rows = self._rows(t.email_key, t.live).where(mine).with_for_update()
        return look_up_each(rows, t.id, wanted, self._dialect)

    def _due(self) -> Select[Any]:
        """The first deleted tenants whose time to be restored is over."""
        t = self.table.c
        due = and_(t.purge_at <= bindparam("now", type_=t.purge_at.type), t.status == "deleted")
        return select(t.partner_id, t.id).where(due).order_by(t.purge_at).limit(bindparam("limit", type_=Integer))

    def _change(self, columns: tuple[str, ...]) -> Any:
        t = self.table.c
        values = bind_new_values(t, (*columns, "updated_at"))
        return self.table.update().where(self._one_version()).values({**values, "version": t.version + 1})

    def _one_version(self) -> ColumnElement[bool]:
        """One version of one tenant: there is no such row where somebody else was faster."""
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.id == bindparam("id"))
        return and_(mine, t.version == bindparam("expected", type_=Integer))
