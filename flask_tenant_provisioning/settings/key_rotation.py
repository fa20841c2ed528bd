"""Seal every secret in settings with the newest key of the keyring, one owner's settings per transaction.

Secrets that are sealed with the newest key stay unchanged, so an interrupted run can be repeated. Each transaction
takes the same lock as a write of these settings, so no concurrent change is lost.
"""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

from ..database.session import Session, Storage
from ..encoding import dump_json
from ..keyring import Keyring
from ..tenants.mutations import lock_tenant_in_any_state
from .models import SettingsRow
from .namespaces import Namespaces
from .resolution import MASK
from .statements import SettingsSQL
from .storage import ResealedVersion, Scope, Sealer, SettingPath, encode_columns, is_declared, is_secret, parse_columns
from .versions import rewrite_history

#: Owners per query.
BATCH_SIZE = 100


class ResealCount(NamedTuple):
    """The number of rows that were sealed again, and the scope and reason of each failure."""

    done: int
    failed: tuple[tuple[Scope, str], ...]

    def add(self, place: Scope, found: ResealedVersion, *, is_changed: bool) -> ResealCount:
        """Return the count with the outcome of one more row."""
        if found.lost is not None:
            return self._replace(failed=(*self.failed, (place, str(found.lost))))
        return self._replace(done=self.done + is_changed)


class ResealCounts(NamedTuple):
    """The counts of the current settings and of the versions in their history."""

    settings: ResealCount = ResealCount(0, ())
    versions: ResealCount = ResealCount(0, ())

    def plus(self, other: ResealCounts) -> ResealCounts:
        """Return the sum of both."""
        pairs = zip(self, other, strict=True)
        return ResealCounts(*(ResealCount(one.done + two.done, one.failed + two.failed) for one, two in pairs))


def reseal_all(storage: Storage, keyring: Keyring) -> ResealCounts:
    """Seal the settings of all tenants and partners again, with their history.

    A plain value of a key that has been declared secret since is sealed too.
    """
    counts, last = ResealCounts(), Scope("", "")
    while places := storage.read(partial(_load_next_scopes, last=last)):
        for place in places:
            counts = counts.plus(storage.transaction(partial(_reseal_owner, place=place, keyring=keyring)))
        last = places[-1]
    return counts


def _load_next_scopes(session: Session, last: Scope) -> list[Scope]:
    """Return the next owners after `last`, in the order of the primary key."""
    sql, after = session.storage.once(SettingsSQL), {"after_partner_id": last.partner, "after_tenant_id": last.tenant}
    rows = session.run(sql.places, {**after, "limit": BATCH_SIZE}).fetchall()
    return [Scope._make(row) for row in rows]


def _reseal_owner(session: Session, place: Scope, keyring: Keyring) -> ResealCounts:
    sql, where = session.storage.once(SettingsSQL), {"partner_id": place.partner, "tenant_id": place.tenant}
    if place.tenant and lock_tenant_in_any_state(session, place.partner, place.tenant) is None:
        return ResealCounts()
    row = session.run(sql.lock, where).fetchone()
    if row is None:
        return ResealCounts()
    stored, namespaces = SettingsRow._make(row), session.storage.hooks.namespaces
    sealer = Sealer(keyring, place, place, partial(_is_declared_secret, namespaces))
    newest = sealer.reseal(parse_columns(stored.document, stored.secrets))
    if newest.is_changed:
        columns = {f"new_{name}": text for name, text in encode_columns(newest.new).items()}
        session.run(sql.reseal, {**where, "expected": stored.version, **columns})
    counts = ResealCounts(ResealCount(0, ()).add(place, newest, is_changed=newest.is_changed))
    for version in rewrite_history(session, place, newest, sealer.reseal):
        changes = _mask_changes(namespaces, version.row.changes)
        is_masked = changes != version.row.changes
        if version.is_changed or is_masked:
            columns = {"new_document": version.columns.document, "new_secrets": version.columns.secrets}
            values = {**where, "version": version.row.version, **columns, "new_changes": changes}
            session.run(sql.reseal_version, values)
        is_changed = version.contents.is_changed or is_masked
        counts = counts._replace(versions=counts.versions.add(place, version.contents, is_changed=is_changed))
    return counts


def _is_declared_secret(namespaces: Namespaces, path: SettingPath) -> bool:
    return is_declared(namespaces, path) and is_secret(namespaces, path)


def _mask_changes(namespaces: Namespaces, changes: str) -> str:
    """Mask the changes of keys that are declared secret; return the same text if there are none."""
    found, is_masked = json.loads(changes), False
    for name, change in found.items():
        namespace, _, key = name.partition(".")
        if _is_declared_secret(namespaces, (namespace, key)):
            masked = {side: None if value is None else MASK for side, value in change.items()}
            is_masked = is_masked or masked != change
            found[name] = masked
    return dump_json(found) if is_masked else changes
