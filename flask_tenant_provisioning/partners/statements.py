"""The SQL of partners."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, literal, or_, select

from ..database.session import Storage
from ..database.statements import SQL, Statement, bind_columns, bind_new_values, match_version
from .models import WRITABLE, Partner

#: The most levels of the hierarchy of partners.
MAX_DEPTH = 5


class PartnerSQL(SQL):
    """The statements about partners, compiled once per storage; those of lists at first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._table = storage.table("partners")
        p = self._table.c
        is_partner = p.partner_id == bindparam("partner_id", type_=p.partner_id.type)
        self._rows = select(*(p[name] for name in Partner._fields))
        insert = self._insert(self._table)
        self.add = self._compile(insert.values(bind_columns(self._table)).on_conflict_do_nothing())
        self.read = self._compile(self._rows.where(is_partner))
        self.lock = self._compile(self._rows.where(is_partner).with_for_update())
        values = bind_new_values(p, (*WRITABLE, "version", "updated_at"))
        self.change = self._compile(self._table.update().where(match_version(self._table)).values(values))
        is_parent = p.partner_id == bindparam("parent", type_=p.parent.type)
        hierarchy = select(p.partner_id).where(or_(p.parent.is_not(None), is_partner, is_parent))
        self.lock_hierarchy = self._compile(hierarchy.order_by(p.partner_id).with_for_update())
        ancestors, descendants = self._select_tree(upwards=True).c, self._select_tree(upwards=False).c
        self.ancestry = self._compile(select(ancestors.partner_id, ancestors.level).order_by(ancestors.level))
        self.depth_below = self._compile(select(func.max(descendants.level)))

    def select_page(self, conditions: Iterable[str]) -> Statement:
        """Return the SELECT of a page of partners, ordered by id, with these `conditions` by their names.

        They are `status`, `parent`, `after` (an id) and `partner_id` (that partner and those below it).
        """
        return self._once(self._build_page, frozenset(conditions))

    def _build_page(self, conditions: Iterable[str]) -> Any:
        rows = self._rows.where(*self._build_conditions(conditions)).order_by(self._table.c.partner_id)
        return rows.limit(bindparam("limit", type_=Integer))

    def _build_conditions(self, names: Iterable[str]) -> Iterator[ColumnElement[bool]]:
        p = self._table.c
        for name in names:
            if name == "after":
                yield p.partner_id > bindparam("after", type_=p.partner_id.type)
            elif name == "partner_id":
                yield p.partner_id.in_(select(self._select_tree(upwards=False).c.partner_id))
            else:
                yield p[name] == bindparam(name, type_=p[name].type)

    def _select_tree(self, *, upwards: bool) -> Any:
        """Select the partner and all above or below it, each with its level, 1 for the partner itself."""
        p, other = self._table.c, self._table.alias("other").c
        is_partner = p.partner_id == bindparam("partner_id", type_=p.partner_id.type)
        first = select(p.partner_id, p.parent, literal(1, Integer).label("level")).where(is_partner)
        tree = first.cte("tree", recursive=True)
        is_next = other.partner_id == tree.c.parent if upwards else other.parent == tree.c.partner_id
        next_level = select(other.partner_id, other.parent, tree.c.level + 1).where(is_next, tree.c.level <= MAX_DEPTH)
        return tree.union_all(next_level)
