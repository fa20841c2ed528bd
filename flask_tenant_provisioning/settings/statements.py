"""The SQL statements of settings, built once per storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, and_, bindparam, or_, select
from sqlalchemy.sql.elements import ColumnElement

from ..database.session import Storage
from ..database.statements import SQL, bind_columns, bind_new_values
from .models import PARTNER_SCOPE, SettingsRow, SettingsVersion, VersionDifference, VersionSummary

_CHANGED_COLUMNS = ("version", "document", "secrets", "updated_at", "history_bytes")
_RESEALED_COLUMNS = ("document", "secrets")


class SettingsSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._settings, self._history = storage.table("settings"), storage.table("settings_history")
        s = self._settings.c
        rows, mine = select(*(s[name] for name in SettingsRow._fields)), self._mine(s)
        beneath = and_(s.partner_id == bindparam("partner_id"), s.tenant_id == PARTNER_SCOPE)
        insert = self._insert(self._settings)
        seen = and_(mine, s.version == bindparam("expected", type_=Integer))
        self.read = self._compile(rows.where(or_(beneath, mine)))
        self.lock = self._compile(rows.where(mine).with_for_update())
        self.add = self._compile(insert.values(bind_columns(self._settings)).on_conflict_do_nothing())
        self.change = self._compile(self._settings.update().where(seen).values(bind_new_values(s, _CHANGED_COLUMNS)))
        self.reseal = self._compile(self._settings.update().where(seen).values(bind_new_values(s, _RESEALED_COLUMNS)))
        self.remove = self._compile(self._settings.delete().where(mine))
        key = (s.partner_id, s.tenant_id)
        self.every = self._compile(self._batch(rows, key))
        self.places = self._compile(self._batch(select(*key), key))
        self._add_history()

    def _add_history(self) -> None:
        h, limit = self._history.c, bindparam("limit", type_=Integer)
        listed, past, mine = self._rows(VersionSummary), self._rows(VersionDifference), self._mine(h)
        version = bindparam("version", type_=Integer)
        one = and_(mine, h.version == version)
        older = h.version < bindparam("before", type_=Integer)
        self.remember = self._compile(self._history.insert().values(bind_columns(self._history)))
        self.later = self._compile(past.where(mine, h.version >= version).order_by(h.version).limit(limit))
        self.page = self._compile(listed.where(mine, older).order_by(h.version.desc()).limit(limit))
        full = self._rows(SettingsVersion).where(mine, older).order_by(h.version.desc()).limit(limit)
        self.page_of_rows = self._compile(full.with_for_update())
        self.keep_past = self._compile(self._history.update().where(one).values(bind_new_values(h, _RESEALED_COLUMNS)))
        self.reseal_version = self._compile(
            self._history.update().where(one).values(bind_new_values(h, (*_RESEALED_COLUMNS, "changes")))
        )
        self.shorten = self._compile(self._history.delete().where(mine, older))
        self.forget = self._compile(self._history.delete().where(mine))

    def _rows(self, kind: Any) -> Any:
        """Select the history columns that are the fields of `kind`."""
        return select(*(self._history.c[name] for name in kind._fields))

    def _mine(self, columns: Any) -> ColumnElement[bool]:
        return and_(columns.partner_id == bindparam("partner_id"), columns.tenant_id == bindparam("tenant_id"))

    def _batch(self, rows: Any, key: tuple[Any, ...]) -> Any:
        """Select the next rows after the key in the parameters ``after_<column>``, in key order."""
        found: ColumnElement[bool] | None = None
        for column in reversed(key):
            place: Any = bindparam(f"after_{column.name}", type_=column.type)
            beyond = column > place
            found = beyond if found is None else or_(beyond, and_(column == place, found))
        return rows.where(found).order_by(*key).limit(bindparam("limit", type_=Integer))
