"""Register, read and update partners. What takes a `Session` runs in the caller's unit of work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import format_instant
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..database.statements import write_version
from ..encoding import dump_json
from ..errors import PartnerNotFound
from ..events.actions import build_event, record_event
from .hierarchy import lock_hierarchy, require_valid_parent
from .models import WRITABLE, Partner
from .statements import PartnerSQL

Values = Mapping[str, Any]
VersionCheck = Callable[[int | None], None]

#: The name of a partner's change for reactions.
UPDATE_OPERATION = "partner.update"
#: The defaults of a partner's fields.
EMPTY_VALUES: Values = {**dict.fromkeys(WRITABLE), "status": "active"}


class PartnerChange(NamedTuple):
    """A change of a partner in one transaction; `before` is None for a new partner."""

    operation: str
    actor: Actor
    before: Partner | None
    after: Partner


def find_partner(session: Session, partner_id: str) -> Partner | None:
    """Return the partner with this id, or None if it is not registered."""
    row = session.run(session.storage.once(PartnerSQL).read, {"partner_id": partner_id}).fetchone()
    return Partner._make(row) if row else None


def load_partner(session: Session, partner_id: str) -> Partner:
    """Return the partner with this id. Raises `PartnerNotFound`."""
    partner = find_partner(session, partner_id)
    if partner is None:
        raise PartnerNotFound
    return partner


def load_page(
    session: Session,
    limit: int,
    after: str | None,
    *,
    status: str | None = None,
    parent: str | None = None,
    within: str | None = None,
) -> tuple[list[Partner], str | None]:
    """Return partners after the id `after`, ordered by id, and the id of the last one if more follow, else None.

    `status` and `parent` filter by status and direct parent; `within` selects a partner and all partners below it.
    """
    filters = {"status": status, "parent": parent, "partner_id": within}

    def load_rows(count: int, after: str | None) -> list[Partner]:
        values = {name: value for name, value in {**filters, "after": after}.items() if value is not None}
        statement = session.storage.once(PartnerSQL).select_page(values)
        return [Partner._make(row) for row in session.run(statement, {**values, "limit": count}).fetchall()]

    return read_page(load_rows, limit, after, lambda partner: partner.partner_id, measure_row)


def register_partner(session: Session, partner_id: str) -> Partner:
    """Register a partner with this id if there is none. Return the partner."""
    _insert_partner(session, make_unregistered_partner(partner_id, session.storage.clock()))
    return load_partner(session, partner_id)


def make_unregistered_partner(partner_id: str, now: float) -> Partner:
    """Build a partner with default values, created at the time `now`, in seconds since 1970."""
    return _make_partner(partner_id, EMPTY_VALUES, now)


def put_partner(
    session: Session, actor: Actor, partner_id: str, values: Values, check_version: VersionCheck
) -> tuple[Partner, bool]:
    """Replace all values of a partner, or register it. Return the partner and whether it was registered.

    Raises `InvalidInput` for an invalid parent, and errors of `check_version`.
    """
    lock_hierarchy(session, partner_id, values.get("parent"))
    before = _lock_partner(session, partner_id)
    check_version(before.version if before else None)
    if before:
        return _write_changes(session, actor, before, {**EMPTY_VALUES, **values}), False
    partner = _make_partner(partner_id, {**EMPTY_VALUES, **values}, session.storage.clock())
    if partner.parent is not None:
        require_valid_parent(session, partner_id, partner.parent)
    if not _insert_partner(session, partner):
        raise StaleRead("another transaction registered the partner")
    _record_update(session, actor, None, partner)
    return partner, True


def update_partner(
    session: Session, actor: Actor, partner_id: str, values: Values, check_version: VersionCheck = lambda _version: None
) -> Partner:
    """Update some values of a partner. Equal values write nothing.

    Raises `PartnerNotFound`, `InvalidInput` for an invalid parent, and errors of `check_version`.
    """
    lock_hierarchy(session, partner_id, values.get("parent"))
    before = _lock_partner(session, partner_id)
    if before is None:
        raise PartnerNotFound
    check_version(before.version)
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
    """Convert values to columns. An active partner has no `suspended_reason`."""
    columns = dict(values)
    if columns.get("allowed_plans") is not None:
        columns["allowed_plans"] = dump_json(columns["allowed_plans"])
    if columns.get("status") == "active":
        columns["suspended_reason"] = None
    return columns


def _write_changes(session: Session, actor: Actor, before: Partner, values: Values) -> Partner:
    """Write the changed values as the next version. Raises `StaleRead` if another transaction changed the partner."""
    after = before._replace(**_to_columns({"status": before.status, **values}))
    if after == before:
        return before
    if after.parent not in (None, before.parent):
        require_valid_parent(session, after.partner_id, after.parent)
    at = session.storage.next_timestamp(before.updated_at)
    after = after._replace(version=before.version + 1, updated_at=at)
    new = {name: getattr(after, name) for name in (*WRITABLE, "version", "updated_at")}
    key, statement = {"partner_id": before.partner_id}, session.storage.once(PartnerSQL).change
    write_version(session, statement, key, before.version, new)
    _record_update(session, actor, before, after)
    return after


def _record_update(session: Session, actor: Actor, before: Partner | None, after: Partner) -> None:
    old, new = before.document() if before else {}, after.document()
    differing = [name for name in WRITABLE if old.get(name) != new[name]]
    changes = {name: {"previous": old.get(name), "new": new[name]} for name in differing}
    at, partner = after.updated_at, after.partner_id
    record_event(session, build_event(session.storage, actor, "partner.updated", partner, new, at, changes))
    if "parent" in changes:
        # A partner sees those below it, so the former and the new parent get the event in their own feeds.
        for parent in {old.get("parent"), new["parent"]} - {None, partner}:
            record_event(session, build_event(session.storage, actor, "partner.updated", parent, new, at, changes))
    session.run_reactions(PartnerChange(UPDATE_OPERATION, actor, before, after))
