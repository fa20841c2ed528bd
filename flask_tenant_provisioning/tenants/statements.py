"""Every statement about tenants, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, literal, or_, select, union_all

from ..database import GuardedInsert, Statement, Storage, each, incoming
from . import pages
from .models import Tenant
from .pages import Shape

_MOST_SHAPES = 512
#: By which column those fields are compared that are unique among a partner's living tenants.
COMPARED_BY = {"email": "email_key", "external_id": "external_id"}


class TenantSQL:
    """The statements of one storage. Those of lists are compiled at their first use, one per shape of question."""

    def __init__(self, storage: Storage) -> None:
        self._dialect = storage.engine.dialect
        self.table = storage.table("tenants")
        self._pages: dict[Shape, Statement] = {}
        self._changes: dict[tuple[str, ...], Statement] = {}
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.id == bindparam("id"))
        self.create = GuardedInsert(self.table, storage.table("events"), self._dialect)
        self.read = self._compiled(self._rows().where(mine))
        self.read_anyones = self._compiled(self._rows().where(t.id == bindparam("id")))
        self.lock = self._compiled(self._rows().where(mine).with_for_update())
        self.holders = self._compiled(self._holders())
        self.all_holders = self._compiled(self._all_holders())
        external = and_(t.partner_id == bindparam("partner_id"), t.external_id == bindparam("external_id"), t.live == 1)
        self.lock_external = self._compiled(self._rows().where(external).with_for_update())
        self.lock_many = self._compiled(self._lock_many())
        self.hidden = self._compiled(select(t.status_before, t.email_key).where(mine))
        self.due = self._compiled(self._due())
        self.remove = self._compiled(self.table.delete().where(self._one_version()))

    def change(self, columns: tuple[str, ...]) -> Statement:
        """An update of just these columns of one version of one tenant."""
        found = self._changes.get(columns)
        if found is None:
            found = self._changes[columns] = self._change(columns)
        return found

    def page(self, shape: Shape) -> Statement:
        """A page of a list."""
        found = self._pages.get(shape)
        if found is None:
            if len(self._pages) >= _MOST_SHAPES:
                self._pages.clear()
            found = self._pages[shape] = self._compiled(pages.page(self.table, shape, self._dialect))
        return found

    def _compiled(self, clause: Any) -> Statement:
        return Statement(clause, self._dialect)

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
        keys = {field: t[name] for field, name in COMPARED_BY.items()}
        given = incoming(self._dialect, **{key.name: key.type for key in keys.values()})
        held = ((select(t.id, literal(field), key).where(mine), key) for field, key in keys.items())
        return union_all(*(each(found, key, given, self._dialect) for found, key in held))

    def _lock_many(self) -> Any:
        """The tenants that rows name by `id`, and the living ones that hold their `external_id` or `email_key`.

        They are locked in the order of their ids, by everybody: who waits for another is not waited for.
        """
        t, names = self.table.c, COMPARED_BY.values()
        mine = t.partner_id == bindparam("partner_id")
        given = incoming(self._dialect, **{name: t[name].type for name in ("id", *names)})
        living = select(t.id).where(mine, t.live == 1)
        held = (each(living, t[name], given, self._dialect) for name in names)
        named = union_all(select(given.c.id), *held).subquery()
        wanted = select(named.c.id).distinct().order_by(named.c.id).subquery("wanted")
        rows = self._rows(t.email_key, t.live).where(mine).with_for_update()
        return each(rows, t.id, wanted, self._dialect)

    def _due(self) -> Select[Any]:
        """The first deleted tenants whose time to be restored is over."""
        t = self.table.c
        due = and_(t.purge_at <= bindparam("now", type_=t.purge_at.type), t.status == "deleted")
        return select(t.partner_id, t.id).where(due).order_by(t.purge_at).limit(bindparam("limit", type_=Integer))

    def _change(self, columns: tuple[str, ...]) -> Statement:
        t = self.table.c
        values: dict[str, Any] = {
            name: bindparam(f"new_{name}", type_=t[name].type) for name in (*columns, "updated_at")
        }
        return self._compiled(
            self.table.update().where(self._one_version()).values({**values, "version": t.version + 1})
        )

    def _one_version(self) -> ColumnElement[bool]:
        """One version of one tenant: there is no such row where somebody else was faster."""
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.id == bindparam("id"))
        return and_(mine, t.version == bindparam("expected", type_=Integer))
