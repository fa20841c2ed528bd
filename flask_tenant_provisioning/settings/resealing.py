"""Seal the secrets of one owner's settings again, with their history: for a newer key or for another row.

`lifecycle` does so when a tenant moves, `key_rotation` when the keyring has a newer key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..database.pages import FEW_ROWS
from ..database.session import Session
from ..encoding import dump_json, is_same_json
from ..keyring import Keyring, UnsealError
from .models import MAX_VERSION, SettingsVersion
from .statements import SettingsSQL
from .storage import Document, RowContents, Scope, SettingPath, flatten, nest
from .versions import HistoryColumns, encode_difference, encode_whole, is_whole, restore_older


class ResealedVersion(NamedTuple):
    """A version before and after its secrets were sealed again; `error` is set if one could not be opened."""

    old: RowContents
    new: RowContents
    error: UnsealError | None = None

    @property
    def is_changed(self) -> bool:
        """True if any secret was sealed again."""
        return self.old != self.new


class Sealer(NamedTuple):
    """The means to seal one owner's versions with the keyring's first key, for a row of the scope `target`.

    Plain values at paths that `is_secret` accepts are sealed too.
    """

    keyring: Keyring
    source: Scope
    target: Scope
    is_secret: Callable[[SettingPath], bool] = lambda _path: False

    def reseal(self, version: RowContents, newer: ResealedVersion | None = None) -> ResealedVersion:
        """Return the version with every secret sealed again, except those that cannot be opened.

        A secret that is sealed for the target with the first key stays unchanged. A secret that the next version,
        `newer`, shares with this one gets the same text, so that no new difference between the two arises.
        """
        first_error: UnsealError | None = None
        plain, sealed = flatten(version.document), flatten(version.secrets)
        for path, text in sealed.items():
            if self.source == self.target and self.keyring.is_current(text):
                continue
            shared = None if newer is None else _find_sealed_text(newer, newer.old.secrets, path, text)
            if shared is not None and shared != text:
                sealed[path] = shared
                continue
            try:
                secret = self.keyring.open(text, self.source.sealing_context(path))
            except UnsealError as error:
                first_error = first_error or error
            else:
                sealed[path] = self.keyring.seal(secret, self.target.sealing_context(path))
        for path in [path for path in plain if self.is_secret(path)]:
            value = plain.pop(path)
            shared = None if newer is None else _find_sealed_text(newer, newer.old.document, path, value)
            sealed[path] = shared or self.keyring.seal(dump_json(value), self.target.sealing_context(path))
        return ResealedVersion(version, RowContents(nest(plain), nest(sealed)), first_error)


def _find_sealed_text(newer: ResealedVersion, values: Document, path: SettingPath, value: Any) -> str | None:
    """Return the new sealed text of `path` in the next version, or None if its value there was not `value`."""
    namespace, key = path
    stored = values.get(namespace, {})
    if key not in stored or not is_same_json(stored[key], value):
        return None
    return newer.new.secrets.get(namespace, {}).get(key)


class RewrittenVersion(NamedTuple):
    """A history row, its contents before and after they were sealed again, and its new columns."""

    row: SettingsVersion
    contents: ResealedVersion
    columns: HistoryColumns
    is_changed: bool


def rewrite_history(
    session: Session,
    scope: Scope,
    newest: ResealedVersion,
    reseal: Callable[[RowContents, ResealedVersion], ResealedVersion],
) -> Iterator[RewrittenVersion]:
    """Yield every stored version, newest first, rewritten to match `newest` as the current contents.

    `reseal` receives a version and the result for the next version. A version that was stored whole stays whole.
    """
    newer = newest
    for row in _iterate_newest_first(session, scope):
        older = reseal(restore_older(newer.old, row), newer)
        columns = encode_whole(older.new) if is_whole(row) else encode_difference(newer.new, older.new)
        yield RewrittenVersion(row, older, columns, older.is_changed or newer.is_changed)
        newer = older


def _iterate_newest_first(session: Session, scope: Scope) -> Iterator[SettingsVersion]:
    """Yield and lock every row of an owner, newest first, a page at a time."""
    sql, where = session.storage.once(SettingsSQL), {"partner_id": scope.partner, "tenant_id": scope.tenant}
    before = MAX_VERSION
    while rows := session.run(sql.lock_older_versions, {**where, "before": before, "limit": FEW_ROWS}).fetchall():
        versions = [SettingsVersion._make(row) for row in rows]
        yield from versions
        before = versions[-1].version
