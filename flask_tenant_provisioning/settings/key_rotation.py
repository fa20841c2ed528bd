"""Seal every secret in settings with the newest key of the keyring, one owner's settings per transaction.

Secrets that are sealed with the newest key stay unchanged, so an interrupted run can be repeated. Each transaction
takes the same lock as a write of these settings, so no concurrent change is lost.
"""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

from ..database.session import Session, Storage
from ..database.statements import write_version
from ..encoding import dump_json
from ..keyring import Keyring
from ..tenants.mutations import lock_tenant_in_any_state
from .models import SettingsRow
from .namespaces import Namespaces, find_key
from .resealing import ResealedVersion, Sealer, rewrite_history
from .statements import SettingsSQL
from .storage import Scope, SettingPath, encode_columns, parse_columns
from .versions import mask_change

#: Owners per query.
BATCH_SIZE = 100


class ResealCount(NamedTuple):
    """The number of rows that were sealed again, and the scope and reason of each failure."""

    resealed: int
    failures: tuple[tuple[Scope, str], ...]

    def add(self, scope: Scope, version: ResealedVersion, *, is_changed: bool) -> ResealCount:
        """Return the count with the outcome of one more row."""
        if version.error is not None:
            return self._replace(failures=(*self.failures, (scope, str(version.error))))
        return self._replace(resealed=self.resealed + is_changed)


class ResealCounts(NamedTuple):
    """The counts of the current settings and of the versions in their history."""

    settings: ResealCount = ResealCount(0, ())
    versions: ResealCount = ResealCount(0, ())

    def plus(self, other: ResealCounts) -> ResealCounts:
        """Return the sum of both."""
        pairs = zip(self, other, strict=True)
        return ResealCounts(
            *(ResealCount(left.resealed + right.resealed, left.failures + right.failures) for left, right in pairs)
        )


def reseal_all(storage: Storage, keyring: Keyring) -> ResealCounts:
    """Seal the settings of all tenants and partners again, with their history.

    A plain value of a key that has been declared secret since is sealed too.
    """
    counts, last = ResealCounts(), Scope("", "")
    while scopes := storage.read(partial(_load_next_scopes, last=last)):
        for scope in scopes:
            counts = counts.plus(storage.transaction(partial(_reseal_owner, scope=scope, keyring=keyring)))
        last = scopes[-1]
    return counts


def _load_next_scopes(session: Session, last: Scope) -> list[Scope]:
    """Return the next owners after `last`, in the order of the primary key."""
    sql, after = session.storage.once(SettingsSQL), {"after_partner_id": last.partner, "after_tenant_id": last.tenant}
    rows = session.run(sql.select_scopes, {**after, "limit": BATCH_SIZE}).fetchall()
    return [Scope._make(row) for row in rows]


def _reseal_owner(session: Session, scope: Scope, keyring: Keyring) -> ResealCounts:
    sql, where = session.storage.once(SettingsSQL), {"partner_id": scope.partner, "tenant_id": scope.tenant}
    if scope.tenant and lock_tenant_in_any_state(session, scope.partner, scope.tenant) is None:
        return ResealCounts()
    row = session.run(sql.lock, where).fetchone()
    if row is None:
        return ResealCounts()
    stored, namespaces = SettingsRow._make(row), session.storage.registry.namespaces
    sealer = Sealer(keyring, scope, scope, partial(_is_declared_secret, namespaces))
    newest = sealer.reseal(parse_columns(stored.document, stored.secrets))
    if newest.is_changed:
        write_version(session, sql.reseal, where, stored.version, encode_columns(newest.new))
    counts = ResealCounts(ResealCount(0, ()).add(scope, newest, is_changed=newest.is_changed))
    for version in rewrite_history(session, scope, newest, sealer.reseal):
        changes = _mask_changes(namespaces, version.row.changes)
        is_masked = changes != version.row.changes
        if version.is_changed or is_masked:
            columns = {"new_document": version.columns.document, "new_secrets": version.columns.secrets}
            values = {**where, "version": version.row.version, **columns, "new_changes": changes}
            session.run(sql.reseal_version, values)
        is_changed = version.contents.is_changed or is_masked
        counts = counts._replace(versions=counts.versions.add(scope, version.contents, is_changed=is_changed))
    return counts


def _is_declared_secret(namespaces: Namespaces, path: SettingPath) -> bool:
    declared = find_key(namespaces, *path)
    return declared is not None and declared.secret


def _mask_changes(namespaces: Namespaces, changes: str) -> str:
    """Mask the changes of keys that are declared secret; return the same text if there are none."""
    masked_changes, is_masked = json.loads(changes), False
    for name, change in masked_changes.items():
        namespace, _, key = name.partition(".")
        if _is_declared_secret(namespaces, (namespace, key)):
            masked = mask_change(change)
            is_masked = is_masked or masked != change
            masked_changes[name] = masked
    return dump_json(masked_changes) if is_masked else changes
