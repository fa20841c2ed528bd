"""Every statement about partners, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, and_, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from ..database import Statement, Storage, parameters, renewed
from .models import WRITABLE, Partner


class PartnerSQL:
    """The statements of one storage; those of lists are compiled at their first use."""

    def __init__(self, storage: Storage) -> None:
        self._dialect = storage.engine.dialect
        self._table = storage.table("partners")
        self._pages: dict[tuple[bool, bool], Statement] = {}
        p = self._table.c
        mine = p.partner_id == bindparam("partner_id", type_=p.partner_id.type)
        self._rows = select(*(p[name] for name in Partner._fields))
        insert = (sqlite if self._dialect.name == "sqlite" else postgresql).insert(self._table)
        self.add = self._compiled(insert.values(parameters(self._table)).on_conflict_do_nothing())
        self.read = self._compiled(self._rows.where(mine))
        self.lock = self._compiled(self._rows.where(mine).with_for_update())
        seen = and_(mine, p.version == bindparam("expected", type_=Integer))
        values = renewed(p, (*WRITABLE, "version", "updated_at"))
        self.change = self._compiled(self._table.update().where(seen).values(values))

    def page(self, *, in_status: bool, after: bool) -> Statement:
        """A page of partners, by their ids."""
        kind = (in_status, after)
        if kind not in self._pages:
            p = self._table.c
            rows = self._rows
            if in_status:
                rows = rows.where(p.status == bindparam("status", type_=p.status.type))
            if after:
                rows = rows.where(p.partner_id > bindparam("after", type_=p.partner_id.type))
            limited: Any = rows.order_by(p.partner_id).limit(bindparam("limit", type_=Integer))
            self._pages[kind] = self._compiled(limited)
        return self._pages[kind]

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)
