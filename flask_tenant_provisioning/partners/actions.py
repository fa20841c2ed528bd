"""Register, read and change partners. Each public function is one unit of work, wherever it is called from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import add_microsecond, format_instant
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..database.statements import name_new_values
from ..encoding import dump_json
from ..errors import PartnerNotFound
from ..events.actions import build_event, record_event
from .hierarchy import lock_hierarchy, require_valid_parent
from .models import WRITABLE, Partner
from .statements import PartnerSQL

Values = Mapping[str, Any]
VersionCheck = Callable[[int | None], None]

#: What reactions call a change of a partner.
UPDATE_OPERATION = "partner.update"
#: What a partner is of whom nothing is said.
EMPTY_VALUES: Values = {**dict.fromkeys(WRITABLE), "status": "active"}


class PartnerChange(NamedTuple):
    """What happens to a partner in one transaction; `before` is None for a new one."""

    operation: str
    actor: Actor
    before: Partner | None
    after: Partner


def find_partner(session: Session, partner_id: str) -> Partner | None:
    """The partner with this id; None where it has not been registered."""
    row = session.run(session.storage.once(PartnerSQL).read, {"partner_id": partner_id}).fetchone()
    return Partner._make(row) if row else None


def load_partner(session: Session, partner_id: str) -> Partner:
    """The same. Raises `PartnerNotFound`."""
    found = find_partner(session, partner_id)
    if found is None:
        raise PartnerNotFound
    return found


def load_page(
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

    return read_page(rows, limit, after, lambda partner: partner.partner_id, measure_row)


def register_partner(session: Session, partner_id: str) -> Partner:
    """The partner with this id, registered now where it has not been."""
    _insert_partner(session, make_unregistered_partner(partner_id, session.storage.clock()))
    return load_partner(session, partner_id)


def make_unregistered_partner(partner_id: str, now: float) -> Partner:
    """A partner of whom nothing is said, at the time `now` in seconds since 1970."""
    return _make_partner(partner_id, EMPTY_VALUES, now)


def put_partner(
    session: Session, actor: Actor, partner_id: str, values: Values, expected: VersionCheck
) -> tuple[Partner, bool]:
    """Give a partner `values` as a whole, registering it where it has not been; whether it was.

    Raises `InvalidInput` for a parent below which it cannot stand, and what `expected` raises.
    """
    lock_hierarchy(session, partner_id, values.get("parent"))
    before = _lock_partner(session, partner_id)
    expected(before.version if before else None)
    if before:
        return _write_changes(session, actor, before, {**EMPTY_VALUES, **values}), False
    made = _make_partner(partner_id, {**EMPTY_VALUES, **values}, session.storage.clock())
    if made.parent is not None:
        require_valid_parent(session, partner_id, made.parent)
    if not _insert_partner(session, made):
        raise StaleRead("somebody else registered it meanwhile")
    _record_update(session, actor, None, made)
    return made, True


def update_partner(
    session: Session, actor: Actor, partner_id: str, values: Values, expected: VersionCheck = lambda _version: None
) -> Partner:
    """Give a partner some values; the same ones change nothing.

    Raises `PartnerNotFound`, `InvalidInput` for a parent below which it cannot stand, and what `expected` raises.
    """
    lock_hierarchy(session, partner_id, values.get("parent"))
    before = _lock_partner(session, partner_id)
    if before is None:
        raise PartnerNotFound
    expected(before.version)
    return _write_changes(session, actor, before, values)


def _lock_partner(session: Session, partner_id: str) -> Partner | None:
    row = session.run(session.storage.once(PartnerSQL).lock, {"partner_id": partner_id}).fetchone()
    return Partner._make(row) if row else None


def _make_partner(partner_id: str, values: Values, now: float) -> Partner:
    at = format_instant(now)
    return Partner(partner_id=partner_id, version=1, created_at=at, updated_at=at, **_to_columns(values))


def _insert_partner(session: Session, partner: Partner) -> bool:
    return bool(session.run(session.storage.once(PartnerSQL).add, partner._asdict()).rowcount == 1)


def _to_columns(values: Values) -> dict[str, Any]:
    """`values` as the columns keep them; who is not suspended is so for no reason."""
    found = dict(values)
    if found.get("allowed_plans") is not None:
        found["allowed_plans"] = dump_json(found["allowed_plans"])
    if found.get("status") == "active":
        found["suspended_reason"] = None
    return found


def _write_changes(session: Session, actor: Actor, before: Partner, values: Values) -> Partner:
    """Write what differs, as the next version. Raises `Outdated` where somebody else was faster."""
    after = before._replace(**_to_columns({"status": before.status, **values}))
    if after == before:
        return before
    if after.parent not in (None, before.parent):
        require_valid_parent(session, after.partner_id, after.parent)
    at = max(format_instant(session.storage.clock()), add_microsecond(before.updated_at))
    after = after._replace(version=before.version + 1, updated_at=at)
    new = name_new_values({name: getattr(after, name) for name in (*WRITABLE, "version", "updated_at")})
    where = {"partner_id": before.partner_id, "expected": before.version}
    if session.run(session.storage.once(PartnerSQL).change, {**where, **new}).rowcount != 1:
        raise StaleRead(before.partner_id)
    _record_update(session, actor, before, after)
    return after


def _record_update(session: Session, actor: Actor, before: Partner | None, after: Partner) -> None:
    old, new = before.document() if before else {}, after.document()
    differing = [name for name in WRITABLE if old.get(name) != new[name]]
    changes = {name: {"previous": old.get(name), "new": new[name]} for name in differing}
    at, partner = after.updated_at, after.partner_id
    record_event(session, build_event(session.storage, actor, "partner.updated", partner, new, at, changes))
    if "parent" in changes:
        # Whoever stands above sees what is below: the former parent and the new one learn of it by their own feeds.
        for parent in {old.get("parent"), new["parent"]} - {None, partner}:
            record_event(session, build_event(session.storage, actor, "partner.updated", parent, new, at, changes))
    for reaction in session.storage.reactions:
        reaction(session, PartnerChange(UPDATE_OPERATION, actor, before, after))
