"""The SQL statements of invitations, built once per storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, bindparam, case, func, select

from ..database.lease import Lease
from ..database.session import Storage
from ..database.statements import (
    SQL,
    RowTransfer,
    Statement,
    bind_columns,
    bind_new_values,
    match_key,
    match_version,
)
from .models import InvitationRow


class InvitationSQL(SQL):
    """The statements of one storage. Updates of chosen columns, and lists, are compiled at first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._table = table = storage.table("invitations")
        i = table.c
        self._rows: Select[Any] = select(*(i[name] for name in InvitationRow._fields))
        is_invitation = match_key(table, "partner_id", "id")
        self._is_of_tenant = match_key(table, "partner_id", "tenant_id")
        self._limit: Any = bindparam("limit", type_=Integer)
        self.insert = self._compile(table.insert().values(bind_columns(table)))
        self.read = self._compile(self._rows.where(is_invitation))
        self.read_of_any_partner = self._compile(self._rows.where(i.id == bindparam("id", type_=i.id.type)))
        self.lock = self._compile(self._rows.where(is_invitation).with_for_update())
        of_state = i.state == bindparam("state", type_=i.state.type)
        self.lock_in_state = self._compile(self._rows.where(self._is_of_tenant, of_state).with_for_update())
        self.lock_open = self._compile(
            self._rows.where(self._is_of_tenant, i.ended_at.is_(None)).order_by(i.id).with_for_update()
        )
        self.delete_of_tenant = self._compile(table.delete().where(self._is_of_tenant))
        self.transfer = RowTransfer(table, self._dialect, ("tenant_id",), {})
        now: Any = bindparam("now", type_=i.due_at.type)
        due = i.due_at <= now
        key = (i.partner_id, i.id)
        self.select_due = self._compile(select(*key, i.fence).where(due).order_by(i.due_at).limit(self._limit))
        claimed = {"attempts": i.attempts + case((i.state == "sending", 1), else_=0), "version": i.version + 1}
        self.lease = Lease(table, self._dialect, "due_at", is_free=due, claimed=claimed)
        self.count_by_state = self._compile(select(i.state, func.count()).group_by(i.state))

    def list_of_tenant(self, *, in_state: bool, after: bool) -> Statement:
        """Return the statement of a page of a tenant's invitations, the oldest first."""
        return self._once(self._build_page, in_state, after)

    def update(self, columns: tuple[str, ...]) -> Statement:
        """Return the update of these columns of an invitation in the version ``expected``."""
        return self._once(self._build_update, columns)

    def update_claimed(self, columns: tuple[str, ...]) -> Statement:
        """Return the update of these columns of an invitation whose fence is still the parameter `fence`."""
        return self._once(self._build_claimed_update, columns)

    def _build_page(self, in_state: bool, after: bool) -> Any:
        i = self._table.c
        rows = self._rows.where(self._is_of_tenant)
        if in_state:
            rows = rows.where(i.state == bindparam("state", type_=i.state.type))
        if after:
            rows = rows.where(i.id > bindparam("after", type_=i.id.type))
        return rows.order_by(i.id).limit(self._limit)

    def _build_update(self, columns: tuple[str, ...]) -> Any:
        update = self._table.update().where(match_version(self._table))
        return update.values(bind_new_values(self._table.c, columns))

    def _build_claimed_update(self, columns: tuple[str, ...]) -> Any:
        return self._table.update().where(self.lease.is_held).values(bind_new_values(self._table.c, columns))


def has_due_invitations(storage: Storage) -> ColumnElement[bool]:
    """Return the condition that any invitation is due at the parameter `now`."""
    i = storage.table("invitations").c
    return select(i.id).where(i.due_at <= bindparam("now", type_=i.due_at.type)).exists()


def select_due_invitations(storage: Storage) -> Select[Any]:
    """Select the due time, as `since`, of each invitation that is due at the parameter `now`."""
    i = storage.table("invitations").c
    now: Any = bindparam("now", type_=i.due_at.type)
    return select(i.due_at.label("since")).where(i.due_at <= now)
