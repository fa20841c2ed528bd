"""The statements that count tenants against limits, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, bindparam, case, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from ..database import Statement, Storage


class UsageSQL:
    """The statements of this storage, and which counters this process has verified, under which licence.

    `scope` is whose counter is meant, `most` a limit that counts before the one in its row.
    """

    def __init__(self, storage: Storage) -> None:
        self._dialect = storage.engine.dialect
        usage, tenants = storage.table("usage"), storage.table("tenants")
        u, living = usage.c, select(func.count()).select_from(tenants).where(tenants.c.live == 1)
        scope: Any = bindparam("scope", type_=u.partner_id.type)
        mine = usage.update().where(u.partner_id == scope)
        most = func.coalesce(bindparam("most", type_=BigInteger), u.most)
        less, more = (bindparam(name, type_=BigInteger) for name in ("less", "more"))
        insert = (sqlite if self._dialect.name == "sqlite" else postgresql).insert(usage)
        none = bindparam("none", type_=BigInteger)
        until, limit = bindparam("until", type_=u.doubtful_until.type), bindparam("limit", type_=BigInteger)
        self.open = self._compiled(_kept(insert.values(partner_id=scope, tenants=none), tenants=u.tenants))
        self.count = self._compiled(mine.values(tenants=living.scalar_subquery()))
        new = insert.values(partner_id=scope, tenants=none, most=limit, doubtful_until=until)
        self.limit = self._compiled(_kept(new, most=limit))
        self.unlimit = self._compiled(usage.delete().where(u.partner_id == scope))
        room = mine.where(u.tenants < most, u.doubtful_until.is_(None))
        self.take = self._compiled(room.values(tenants=u.tenants + 1))
        self.add = self._compiled(mine.values(tenants=u.tenants + more))
        left = case((u.tenants > less, u.tenants - less), else_=literal(0, BigInteger))
        self.release = self._compiled(mine.values(tenants=left))
        found = select(u.tenants, most, u.doubtful_until).where(u.partner_id == scope)
        self.lock = self._compiled(found.with_for_update())
        self.living = self._compiled(living.where(tenants.c.partner_id == scope))
        counted = bindparam("tenants", type_=BigInteger)
        self.correct = self._compiled(mine.values(tenants=counted, doubtful_until=until))
        self.counted: dict[str, int] = {}

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)


def _kept(insert: Any, **values: Any) -> Any:
    """The same where there is such a row, which then gets these values, and is locked."""
    return insert.on_conflict_do_update(index_elements=["partner_id"], set_=values)
