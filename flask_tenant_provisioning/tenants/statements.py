"""Every statement about tenants, built once a storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, literal, or_, select, union_all

from ..database import SQL, GuardedInsert, Statement, Storage, each, incoming, renewed
from . import pages
from .models import Tenant
from .pages import Shape

#: By which column those fields are compared that are unique among a partner's living tenants.
COMPARED_BY = {"email": "email_key", "external_id": "external_id"}


class TenantSQL(SQL):
    """The statements of one storage. Those of lists are compiled at their first use, one per shape of question."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self.table = storage.table("tenants")
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
        return self._once(self._change, columns)

    def page(self, shape: Shape) -> Statement:
        """A page of a list."""
        return self._once(self._page, shape)

    def _page(self, shape: Shape) -> Any:
        return pages.page(self.table, shape, self._dialect)

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

    def _change(self, columns: tuple[str, ...]) -> Any:
        t = self.table.c
        values = renewed(t, (*columns, "updated_at"))
        return self.table.update().where(self._one_version()).values({**values, "version": t.version + 1})

    def _one_version(self) -> ColumnElement[bool]:
        """One version of one tenant: there is no such row where somebody else was faster."""
        t = self.table.c
        mine = and_(t.partner_id == bindparam("partner_id"), t.id == bindparam("id"))
        return and_(mine, t.version == bindparam("expected", type_=Integer))
