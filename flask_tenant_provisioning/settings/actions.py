"""Read, write and roll back settings. Each public function is one unit of work, wherever it is called from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..access import Actor
from ..database import Session
from ..database.paging import FEW, read_page, row_size
from ..keyring import Keyring
from ..partners import actions as partners
from ..problems import InvalidInput, SettingsOutdated, SettingsVersionNotFound
from ..tenants import actions as tenants
from ..tenants.actions import require_changeable
from ..tenants.changes import Target, locked
from ..web.validation import load
from .accepting import accepted
from .kept import NOTHING, Flat, Kept, opened
from .models import NOBODY, Listed
from .moving import move as move
from .schemas import rollback_input
from .sent import patched, whole
from .state import Owner, State, state
from .statements import SettingsSQL
from .versions import read_version
from .writing import written

Expected = Callable[[int], None]


class Shelf(NamedTuple):
    """How settings are kept: sealed by `keyring`, `most` versions of them."""

    keyring: Keyring
    most: int

    def open(self) -> Keyring:
        """The keyring."""
        return self.keyring


class Page(NamedTuple):
    """Some versions of the settings that are as `state` says, and the last one's number where more follow."""

    state: State
    revisions: list[Listed]
    end: int | None


#: Finds whose settings are meant, and locks them where they are to be written.
FindOwner = Callable[[Session, bool], Owner]


def of_tenant(session: Session, write: bool, *, partner: str | None, tenant_id: str) -> Owner:
    """A tenant of `partner`, or of anybody where that is None. Raises `TenantNotFound`, to write `InvalidState` too."""
    if not write:
        tenant = tenants.read(session, partner, tenant_id)
    else:
        tenant = locked(session, Target(partner, tenant_id))
        require_changeable(tenant)
    return Owner(tenant.partner_id, tenant)


def of_partner(session: Session, write: bool, *, partner: str) -> Owner:
    """A partner, whose settings are its tenants' defaults. Raises `PartnerNotFound`."""
    partners.read(session, partner)
    if write:
        where = {"partner_id": partner, "tenant_id": NOBODY}
        session.run(session.storage.once(SettingsSQL).lock, where).fetchall()
    return Owner(partner)


def read(session: Session, shelf: Shelf, find: FindOwner) -> State:
    """The settings of whom `find` finds. Raises what `find` raises."""
    return state(session, shelf.open, find(session, False))


def put(session: Session, actor: Actor, shelf: Shelf, find: FindOwner, sent: Any, expected: Expected) -> State:
    """Set what was `sent` and nothing else. Raises `InvalidInput`, and what `find` and `expected` raise."""
    before = _begun(session, shelf, find, expected)
    return _changed(session, actor, shelf, before, accepted(before, *whole(before, sent)))


def patch(session: Session, actor: Actor, shelf: Shelf, find: FindOwner, sent: Any, expected: Expected) -> State:
    """Set what a merge patch (RFC 7396) makes of what is set; null returns to what is inherited.

    Raises what `put` raises.
    """
    before = _begun(session, shelf, find, expected)
    return _changed(session, actor, shelf, before, accepted(before, *patched(before, sent)))


def rollback(session: Session, actor: Actor, shelf: Shelf, find: FindOwner, sent: Any, expected: Expected) -> State:
    """Set what was set in the `version` that was sent, as a new version; 0 is that in which nothing was.

    Raises `InvalidInput`, `SettingsVersionNotFound`, `SettingsOutdated` where that is not valid any more, and what
    `find` and `expected` raise.
    """
    before = _begun(session, shelf, find, expected)
    version = load(rollback_input(), sent)["version"]
    then = _then(session, shelf, before, version)
    try:
        return _changed(session, actor, shelf, before, accepted(before, then.values), then)
    except InvalidInput as error:
        detail = f"What version {version} held is not valid any more."
        raise SettingsOutdated(detail, errors=error.errors, **error.members) from error


def history(session: Session, shelf: Shelf, find: FindOwner, limit: int, before: int | None) -> Page:
    """Versions older than `before`, the newest first. Raises what `find` raises."""
    found = read(session, shelf, find)
    place = found.owner.place
    where = {"partner_id": place.partner, "tenant_id": place.tenant}

    def rows(count: int, version: int | None) -> list[Listed]:
        older = {**where, "before": found.version + 1 if version is None else version, "limit": count}
        return [Listed._make(row) for row in session.run(session.storage.once(SettingsSQL).page, older).fetchall()]

    page, end = read_page(rows, limit, before, lambda revision: revision.version, row_size, FEW)
    return Page(found, page, end)


def forget(session: Session, partner: str, tenant_id: str) -> None:
    """Remove the settings of a tenant, with their history."""
    sql = session.storage.once(SettingsSQL)
    for statement in (sql.remove, sql.forget):
        session.run(statement, {"partner_id": partner, "tenant_id": tenant_id})


def _begun(session: Session, shelf: Shelf, find: FindOwner, expected: Expected) -> State:
    """The settings before a write, which nobody else writes meanwhile, in the version that is expected."""
    before = state(session, shelf.open, find(session, True))
    expected(before.version)
    return before


def _changed(session: Session, actor: Actor, shelf: Shelf, before: State, values: Flat, *known: Kept) -> State:
    written(session, actor, shelf.keyring, before, values, shelf.most, *known)
    return state(session, shelf.open, before.owner)


def _then(session: Session, shelf: Shelf, before: State, version: int) -> Kept:
    """What the owner set in `version`. Raises `SettingsVersionNotFound`."""
    if version == 0:
        return NOTHING
    place = before.owner.place
    found = read_version(session, before.row, place, version)
    if found is None:
        raise SettingsVersionNotFound
    return opened(before.namespaces, place, found, shelf.open)
