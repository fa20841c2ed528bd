"""The SQL of API clients and of used assertions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, bindparam, func, or_, select, tuple_

from ..database.session import Storage
from ..database.statements import SQL, Statement, bind_columns, bind_new_values, match_key, match_version
from .models import Client


class ClientSQL(SQL):
    """The statements about clients, compiled once per storage; those of lists and updates at first use."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._clients = storage.table("clients")
        c = self._clients.c
        self._partner: Any = bindparam("partner_id", type_=c.partner_id.type)
        self._limit: Any = bindparam("limit", type_=Integer)
        is_client = match_key(self._clients, "partner_id", "client_id")
        rows = select(*(c[name] for name in Client._fields))
        self.insert = self._compile(self._clients.insert().values(bind_columns(self._clients)))
        self.count = self._compile(select(func.count()).where(c.partner_id == self._partner))
        self.read = self._compile(rows.where(is_client))
        self.read_of_any_partner = self._compile(rows.where(match_key(self._clients, "client_id")))
        self.lock = self._compile(rows.where(is_client).with_for_update())
        self.delete = self._compile(self._clients.delete().where(is_client))
        minute: Any = bindparam("minute", type_=c.last_used_at.type)
        is_earlier = or_(c.last_used_at.is_(None), c.last_used_at < minute)
        self.save_last_use = self._compile(
            self._clients.update().where(is_client, is_earlier).values(last_used_at=minute)
        )

    def list_clients(self, *, of_partner: bool, after: bool) -> Statement:
        """Return the statement of a page of clients, the oldest first."""
        return self._once(self._build_page, of_partner, after)

    def update(self, columns: tuple[str, ...]) -> Statement:
        """Return the statement that updates these columns of a client in the version ``expected``."""
        return self._once(self._build_update, columns)

    def _build_page(self, of_partner: bool, after: bool) -> Any:
        c = self._clients.c
        rows = select(*(c[name] for name in Client._fields))
        if of_partner:
            rows = rows.where(c.partner_id == self._partner)
        if after:
            rows = rows.where(c.client_id > bindparam("after", type_=c.client_id.type))
        return rows.order_by(c.client_id).limit(self._limit)

    def _build_update(self, columns: tuple[str, ...]) -> Any:
        update = self._clients.update().where(match_version(self._clients))
        return update.values(bind_new_values(self._clients.c, columns))


class AssertionSQL(SQL):
    """The statements about used assertions."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        table = storage.table("assertions")
        a = table.c
        #: Inserts no row if the assertion was used before.
        self.insert = self._compile(self._insert(table).values(bind_columns(table)).on_conflict_do_nothing())
        self.delete_of_client = self._compile(table.delete().where(match_key(table, "partner_id", "client_id")))
        key = (a.partner_id, a.client_id, a.jti_hash)
        is_expired = a.expires_at <= bindparam("now", type_=a.expires_at.type)
        expired = select(*key).where(is_expired).order_by(a.expires_at).limit(bindparam("limit", type_=Integer))
        self.delete_expired = self._compile(table.delete().where(tuple_(*key).in_(expired)))
