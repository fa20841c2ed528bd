"""Register, read and change partners. Each public function is one unit of work, wherever it is called from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access import Actor
from ..database import Outdated, Session, following, instant, renewal
from ..database.paging import read_page, row_size
from ..events import compact, event, record
from ..problems import PartnerNotFound
from .family import hold, require_place
from .models import WRITABLE, Partner
from .statements import PartnerSQL

Values = Mapping[str, Any]
Expected = Callable[[int | None], None]

#: What reactions call a change of a partner.
UPDATE = "partner.update"
#: What a partner is of whom nothing is said.
EMPTY: Values = {**dict.fromkeys(WRITABLE), "status": "active"}


class Change(NamedTuple):
    """What happens to a partner in one transaction; `before` is None for a new one."""

    operation: str
    actor: Actor
    before: Partner | None
    after: Partner


def find(session: Session, partner_id: str) -> Partner | None:
    """The partner with this id; None where it has not been registered."""
    row = session.run(session.storage.once(PartnerSQL).read, {"partner_id": partner_id}).fetchone()
    return Partner._make(row) if row else None


def read(session: Session, partner_id: str) -> Partner:
    """The same. Raises `PartnerNotFound`."""
    found = find(session, partner_id)
    if found is None:
        raise PartnerNotFound
    return found


def page(
    session: Session,
    limit: int,
    after: str | None,
    *,
    status: str | None = None,
    parent: str | None = None,
    within: str | None = None,
) -> tuple[list[Partner], str | None]:
    """Partners behind the id `after`, by their ids, and the last one's id where more follow.

    With this `status`, right below this `parent`; and `within` means that partner and all below it.
    """
    asked = {"status": status, "parent": parent, "partner_id": within}

    def rows(count: int, place: str | None) -> list[Partner]:
        values = {name: value for name, value in {**asked, "after": place}.items() if value is not None}
        statement = session.storage.once(PartnerSQL).page(values)
        return [Partner._make(row) for row in session.run(statement, {**values, "limit": count}).fetchall()]

    return read_page(rows, limit, after, lambda partner: partner.partner_id, row_size)


def register(session: Session, partner_id: str) -> Partner:
    """The partner with this id, registered now where it has not been."""
    _add(session, unregistered(partner_id, session.storage.clock()))
    return read(session, partner_id)


def unregistered(partner_id: str, now: float) -> Partner:
    """A partner of whom nothing is said, at the time `now` in seconds since 1970."""
    return _new(partner_id, EMPTY, now)


def put(session: Session, actor: Actor, partner_id: str, values: Values, expected: Expected) -> tuple[Partner, bool]:
    """Give a partner `values` as a whole, registering it where it has not been; whether it was.

    Raises `InvalidInput` for a parent below which it cannot stand, and what `expected` raises.
    """
    hold(session, partner_id, values.get("parent"))
    before = _locked(session, partner_id)
    expected(before.version if before else None)
    if before:
        return _changed(session, actor, before, {**EMPTY, **values}), False
    made = _new(partner_id, {**EMPTY, **values}, session.storage.clock())
    if made.parent is not None:
        require_place(session, partner_id, made.parent)
    if not _add(session, made):
        raise Outdated("somebody else registered it meanwhile")
    _tell(session, actor, None, made)
    return made, True


def revise(
    session: Session, actor: Actor, partner_id: str, values: Values, expected: Expected = lambda _version: None
) -> Partner:
    """Give a partner some values; the same ones change nothing.

    Raises `PartnerNotFound`, `InvalidInput` for a parent below which it cannot stand, and what `expected` raises.
    """
    hold(session, partner_id, values.get("parent"))
    before = _locked(session, partner_id)
    if before is None:
        raise PartnerNotFound
    expected(before.version)
    return _changed(session, actor, before, values)


def _locked(session: Session, partner_id: str) -> Partner | None:
    row = session.run(session.storage.once(PartnerSQL).lock, {"partner_id": partner_id}).fetchone()
    return Partner._make(row) if row else None


def _new(partner_id: str, values: Values, now: float) -> Partner:
    at = instant(now)
    return Partner(partner_id=partner_id, version=1, created_at=at, updated_at=at, **_stored(values))


def _add(session: Session, partner: Partner) -> bool:
    return bool(session.run(session.storage.once(PartnerSQL).add, partner._asdict()).rowcount == 1)


def _stored(values: Values) -> dict[str, Any]:
    """`values` as the columns keep them; who is not suspended is so for no reason."""
    found = dict(values)
    if found.get("allowed_plans") is not None:
        found["allowed_plans"] = compact(found["allowed_plans"])
    if found.get("status") == "active":
        found["suspended_reason"] = None
    return found


def _changed(session: Session, actor: Actor, before: Partner, values: Values) -> Partner:
    """Write what differs, as the next version. Raises `Outdated` where somebody else was faster."""
    after = before._replace(**_stored({"status": before.status, **values}))
    if after == before:
        return before
    if after.parent not in (None, before.parent):
        require_place(session, after.partner_id, after.parent)
    at = max(instant(session.storage.clock()), following(before.updated_at))
    after = after._replace(version=before.version + 1, updated_at=at)
    new = renewal({name: getattr(after, name) for name in (*WRITABLE, "version", "updated_at")})
    where = {"partner_id": before.partner_id, "expected": before.version}
    if session.run(session.storage.once(PartnerSQL).change, {**where, **new}).rowcount != 1:
        raise Outdated(before.partner_id)
    _tell(session, actor, before, after)
    return after


def _tell(session: Session, actor: Actor, before: Partner | None, after: Partner) -> None:
    old, new = before.document() if before else {}, after.document()
    differing = [name for name in WRITABLE if old.get(name) != new[name]]
    changes = {name: {"previous": old.get(name), "new": new[name]} for name in differing}
    at, partner = after.updated_at, after.partner_id
    record(session, event(session.storage, actor, "partner.updated", partner, new, at, changes))
    if "parent" in changes:
        # Whoever stands above sees what is below: the former parent and the new one learn of it by their own feeds.
        for parent in {old.get("parent"), new["parent"]} - {None, partner}:
            record(session, event(session.storage, actor, "partner.updated", parent, new, at, changes))
    for reaction in session.storage.reactions:
        reaction(session, Change(UPDATE, actor, before, after))
