"""The SQL statements of settings, built once per storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, and_, bindparam, or_, select
from sqlalchemy.sql.elements import ColumnElement

from ..database.pages import is_after
from ..database.session import Storage
from ..database.statements import SQL, bind_columns, bind_new_values, match_version
from .models import PARTNER_SCOPE, SettingsRow, SettingsVersion, VersionDifference, VersionSummary

_CHANGED_COLUMNS = ("version", "document", "secrets", "updated_at", "history_bytes")
_RESEALED_COLUMNS = ("document", "secrets")


class SettingsSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        self._settings, self._history = storage.table("settings"), storage.table("settings_history")
        s = self._settings.c
        rows, owned = select(*(s[name] for name in SettingsRow._fields)), self._matches_owner(s)
        inherited = and_(s.partner_id == bindparam("partner_id"), s.tenant_id == PARTNER_SCOPE)
        insert = self._insert(self._settings)
        self.read = self._compile(rows.where(or_(inherited, owned)))
        self.lock = self._compile(rows.where(owned).with_for_update())
        self.add = self._compile(insert.values(bind_columns(self._settings)).on_conflict_do_nothing())
        update = self._settings.update().where(match_version(self._settings))
        self.change = self._compile(update.values(bind_new_values(s, _CHANGED_COLUMNS)))
        self.reseal = self._compile(update.values(bind_new_values(s, _RESEALED_COLUMNS)))
        self.delete = self._compile(self._settings.delete().where(owned))
        key = (s.partner_id, s.tenant_id)
        self.select_batch = self._compile(self._batch(rows, key))
        self.select_scopes = self._compile(self._batch(select(*key), key))
        self._add_history()

    def _add_history(self) -> None:
        h, limit = self._history.c, bindparam("limit", type_=Integer)
        summaries, differences, owned = (
            self._select_columns(VersionSummary),
            self._select_columns(VersionDifference),
            self._matches_owner(h),
        )
        version = bindparam("version", type_=Integer)
        is_version = and_(owned, h.version == version)
        is_older = h.version < bindparam("before", type_=Integer)
        self.add_version = self._compile(self._history.insert().values(bind_columns(self._history)))
        self.select_versions_from = self._compile(
            differences.where(owned, h.version >= version).order_by(h.version).limit(limit)
        )
        self.select_older_versions = self._compile(
            summaries.where(owned, is_older).order_by(h.version.desc()).limit(limit)
        )
        versions = self._select_columns(SettingsVersion).where(owned, is_older).order_by(h.version.desc()).limit(limit)
        self.lock_older_versions = self._compile(versions.with_for_update())
        self.update_version = self._compile(
            self._history.update().where(is_version).values(bind_new_values(h, _RESEALED_COLUMNS))
        )
        self.reseal_version = self._compile(
            self._history.update().where(is_version).values(bind_new_values(h, (*_RESEALED_COLUMNS, "changes")))
        )
        self.delete_old_versions = self._compile(self._history.delete().where(owned, is_older))
        self.delete_history = self._compile(self._history.delete().where(owned))

    def _select_columns(self, kind: Any) -> Any:
        """Select the history columns that are the fields of `kind`."""
        return select(*(self._history.c[name] for name in kind._fields))

    def _matches_owner(self, columns: Any) -> ColumnElement[bool]:
        return and_(columns.partner_id == bindparam("partner_id"), columns.tenant_id == bindparam("tenant_id"))

    def _batch(self, rows: Any, key: tuple[Any, ...]) -> Any:
        """Select the next rows after the key in the parameters ``after_<column>``, in key order."""
        return rows.where(is_after(*key)).order_by(*key).limit(bindparam("limit", type_=Integer))
