"""Every secret in settings sealed by the keyring's newest key, a batch of rows a unit of work.

Rows that are so already stay as they are: whoever is interrupted begins again and loses nothing. A batch locks its
rows and reads them again, so nobody's change is undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..database import Session, Statement, Storage
from ..events import compact
from ..keyring import Keyring, Unsealable
from .kept import Namespaces, Place, flat, is_declared, is_secret, nested
from .models import Revision, Stored
from .sealing import sealed_anew
from .state import MASK
from .statements import SettingsSQL

#: How many rows one unit of work locks.
BATCH = 100


class Resealed(NamedTuple):
    """How many rows were sealed anew, and why others could not be, by whose they are."""

    done: int
    failed: tuple[tuple[Place, str], ...]

    def __add__(self, other: Any) -> Resealed:
        return Resealed(self.done + other.done, self.failed + other.failed)


def reseal_settings(storage: Storage, keyring: Keyring) -> Resealed:
    """Seal anew what tenants and partners set; a plain value of a key that is secret by now is sealed too."""
    sql = storage.once(SettingsSQL)
    return _all(storage, sql.every, ("partner_id", "tenant_id"), partial(_reseal, keyring=keyring), Stored)


def reseal_history(storage: Storage, keyring: Keyring) -> Resealed:
    """The same of every version that is remembered."""
    sql, key = storage.once(SettingsSQL), ("partner_id", "tenant_id", "version")
    return _all(storage, sql.every_revision, key, partial(_reseal_revision, keyring=keyring), Revision)


def _all(
    storage: Storage, statement: Statement, key: Sequence[str], reseal: Callable[..., bool], kind: Any
) -> Resealed:
    found, place = Resealed(0, ()), {f"after_{name}": -1 if name == "version" else "" for name in key}
    while rows := storage.read(partial(_page, statement=statement, place=place, kind=kind)):
        found += storage.transaction(partial(_batch, rows=rows, reseal=reseal))
        place = {f"after_{name}": getattr(rows[-1], name) for name in key}
    return found


def _page(session: Session, statement: Statement, place: dict[str, Any], kind: Any) -> list[Any]:
    return [kind._make(row) for row in session.run(statement, {**place, "limit": BATCH}).fetchall()]


def _batch(session: Session, rows: Sequence[Any], reseal: Callable[..., bool]) -> Resealed:
    done, failed = 0, []
    for row in rows:
        try:
            done += reseal(session, row)
        except Unsealable as error:
            failed.append((Place(row.partner_id, row.tenant_id), str(error)))
    return Resealed(done, tuple(failed))


def _reseal(session: Session, row: Stored, keyring: Keyring) -> bool:
    sql, where = session.storage.once(SettingsSQL), {"partner_id": row.partner_id, "tenant_id": row.tenant_id}
    found = session.run(sql.lock, where).fetchone()
    if found is None:
        return False
    held = Stored._make(found)
    columns = _columns(session, keyring, held)
    if columns is None:
        return False
    session.run(sql.reseal, {**where, "expected": held.version, **columns})
    return True


def _reseal_revision(session: Session, row: Revision, keyring: Keyring) -> bool:
    sql, namespaces = session.storage.once(SettingsSQL), session.storage.hooks.namespaces
    where = {"partner_id": row.partner_id, "tenant_id": row.tenant_id, "version": row.version}
    found = session.run(sql.lock_revision, where).fetchone()
    if found is None:
        return False
    held = Revision._make(found)
    columns, changes = _columns(session, keyring, held), _masked(namespaces, held.changes)
    if columns is None and changes == held.changes:
        return False
    kept = {"new_document": held.document, "new_secrets": held.secrets}
    session.run(sql.reseal_revision, {**where, **kept, **(columns or {}), "new_changes": changes})
    return True


def _columns(session: Session, keyring: Keyring, row: Stored | Revision) -> dict[str, Any] | None:
    """The columns of `row` with every secret sealed by the first key; None where they are so. Raises `Unsealable`."""
    place, namespaces = Place(row.partner_id, row.tenant_id), session.storage.hooks.namespaces
    secrets = sealed_anew(keyring, row.secrets, place, place)
    plain = flat(json.loads(row.document))
    bare = {
        path: value for path, value in plain.items() if is_declared(namespaces, path) and is_secret(namespaces, path)
    }
    if not bare:
        return None if secrets == row.secrets else {"new_document": row.document, "new_secrets": secrets}
    sealed = flat(json.loads(secrets)) if secrets else {}
    sealed |= {path: keyring.seal(compact(value), place.bound_to(path)) for path, value in bare.items()}
    rest = {path: value for path, value in plain.items() if path not in bare}
    return {"new_document": compact(nested(rest)), "new_secrets": compact(nested(sealed))}


def _masked(namespaces: Namespaces, changes: str) -> str:
    """What changed, with what is secret by now masked."""
    found = json.loads(changes)
    for name, change in found.items():
        namespace, _, key = name.partition(".")
        if is_declared(namespaces, (namespace, key)) and is_secret(namespaces, (namespace, key)):
            found[name] = {side: None if value is None else MASK for side, value in change.items()}
    return compact(found)
