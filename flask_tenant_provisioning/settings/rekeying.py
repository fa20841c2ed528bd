"""Every secret in settings sealed by the keyring's newest key, the settings of one owner a unit of work.

What is so already stays as it is: whoever is interrupted begins again and loses nothing. A unit of work takes the lock
that writers of these settings take, so nobody's change is undone.
"""

from __future__ import annotations

import json
from functools import partial
from typing import NamedTuple

from ..database import Session, Storage
from ..events import compact
from ..keyring import Keyring
from ..tenants.changes import held
from .kept import Namespaces, Path, Place, columns_of, is_declared, is_secret, parse
from .models import Stored
from .sealing import Resealed, Sealer
from .state import MASK
from .statements import SettingsSQL
from .versions import rewrite

#: How many owners are looked up at once.
BATCH = 100


class Count(NamedTuple):
    """How many were sealed anew, and why others could not be, by whose they are."""

    done: int
    failed: tuple[tuple[Place, str], ...]

    def add(self, place: Place, found: Resealed, *, is_changed: bool) -> Count:
        """Return the count with one more."""
        if found.lost is not None:
            return self._replace(failed=(*self.failed, (place, str(found.lost))))
        return self._replace(done=self.done + is_changed)


class Counts(NamedTuple):
    """What came of the settings that owners set, and of the versions of them that are remembered."""

    settings: Count = Count(0, ())
    versions: Count = Count(0, ())

    def plus(self, other: Counts) -> Counts:
        """Return both together."""
        pairs = zip(self, other, strict=True)
        return Counts(*(Count(one.done + two.done, one.failed + two.failed) for one, two in pairs))


def reseal(storage: Storage, keyring: Keyring) -> Counts:
    """Seal anew what tenants and partners set, with the history of it.

    A plain value of a key that is secret by now is sealed too.
    """
    counts, last = Counts(), Place("", "")
    while places := storage.read(partial(_next, last=last)):
        for place in places:
            counts = counts.plus(storage.transaction(partial(_reseal, place=place, keyring=keyring)))
        last = places[-1]
    return counts


def _next(session: Session, last: Place) -> list[Place]:
    """The owners behind the `last` one."""
    sql, after = session.storage.once(SettingsSQL), {"after_partner_id": last.partner, "after_tenant_id": last.tenant}
    rows = session.run(sql.places, {**after, "limit": BATCH}).fetchall()
    return [Place._make(row) for row in rows]


def _reseal(session: Session, place: Place, keyring: Keyring) -> Counts:
    sql, where = session.storage.once(SettingsSQL), {"partner_id": place.partner, "tenant_id": place.tenant}
    if place.tenant and held(session, place.partner, place.tenant) is None:
        return Counts()
    row = session.run(sql.lock, where).fetchone()
    if row is None:
        return Counts()
    stored, namespaces = Stored._make(row), session.storage.hooks.namespaces
    sealer = Sealer(keyring, place, place, partial(_is_secret, namespaces))
    newest = sealer.reseal(parse(stored.document, stored.secrets))
    if newest.is_changed:
        columns = {f"new_{name}": text for name, text in columns_of(newest.new).items()}
        session.run(sql.reseal, {**where, "expected": stored.version, **columns})
    counts = Counts(Count(0, ()).add(place, newest, is_changed=newest.is_changed))
    for version in rewrite(session, place, newest, sealer.reseal):
        changes = _masked(namespaces, version.row.changes)
        is_masked = changes != version.row.changes
        if version.is_changed or is_masked:
            columns = {"new_document": version.columns.document, "new_secrets": version.columns.secrets}
            values = {**where, "version": version.row.version, **columns, "new_changes": changes}
            session.run(sql.reseal_version, values)
        is_changed = version.contents.is_changed or is_masked
        counts = counts._replace(versions=counts.versions.add(place, version.contents, is_changed=is_changed))
    return counts


def _is_secret(namespaces: Namespaces, path: Path) -> bool:
    return is_declared(namespaces, path) and is_secret(namespaces, path)


def _masked(namespaces: Namespaces, changes: str) -> str:
    """What changed, with what is secret by now masked; the same text where nothing is."""
    found, is_masked = json.loads(changes), False
    for name, change in found.items():
        namespace, _, key = name.partition(".")
        if _is_secret(namespaces, (namespace, key)):
            masked = {side: None if value is None else MASK for side, value in change.items()}
            is_masked = is_masked or masked != change
            found[name] = masked
    return compact(found) if is_masked else changes
