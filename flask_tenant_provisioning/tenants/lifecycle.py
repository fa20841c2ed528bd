"""The states of a tenant, and its move to another partner.

``provisioning → active ⇄ suspended``, any ``→ deleted →`` purged, ``provisioning → failed``.

What takes a `Session` runs in the caller's unit of work. A tenant that is already in the requested state stays
unchanged, without an event.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ..access.principal import Actor
from ..database.errors import StaleRead, UniqueViolation
from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import RowTransfer, bind_new_values
from ..errors import InvalidState
from ..events.actions import build_event, record_event
from ..partners import actions as partners
from ..partners.hierarchy import UNKNOWN_PARTNER
from ..validation import make_entry, make_invalid_input
from . import erasure, quotas
from .models import Tenant, get_unique_field, render_tenant_document
from .mutations import (
    Target,
    Transition,
    apply_transition,
    build_change_event,
    collect_unique_keys,
    lock_tenant,
    make_conflict,
    remove_or_retire,
    require_unique,
    run_reactions,
)
from .plans import require_plan_allowed
from .statements import TenantSQL


def suspend(session: Session, actor: Actor, target: Target, reason: str | None = None) -> Tenant:
    """Suspend an active tenant. Raises `TenantNotFound`, `InvalidState`, and errors of the target's version check."""
    return _change_status(session, actor, target, lambda tenant: make_suspension(tenant, reason))


def reactivate(session: Session, actor: Actor, target: Target) -> Tenant:
    """Reactivate a suspended tenant.

    Raises `TenantNotFound`, `InvalidState`, and errors of the target's version check.
    """
    return _change_status(session, actor, target, make_reactivation)


def delete(session: Session, actor: Actor, target: Target, retention_days: int, *, counts: bool = True) -> Tenant:
    """Delete a tenant. It can be restored for `retention_days`; its email and external id are free at once.

    With ``counts=False`` the caller updates the quota counters. Raises `TenantNotFound`, and errors of the target's
    version check.
    """
    before = lock_tenant(session, target)
    target.check_version(before.version)
    if before.status == "deleted":
        return before
    if counts:
        quotas.subtract_tenants(session, before.partner_id)
    return apply_transition(session, actor, *make_deletion(before, session.storage.clock(), retention_days))


def restore(session: Session, actor: Actor, target: Target, allowance: quotas.Allowance) -> Tenant:
    """Restore a deleted tenant to its previous status.

    Raises `TenantNotFound`, `InvalidState` if it is not deleted, `TenantExists` if another tenant has taken its email
    or external id, `LicenseExpired`, `QuotaExceeded`, and errors of the target's version check.
    """
    before = lock_tenant(session, target)
    if before.status != "deleted":
        raise _make_invalid_state(before, "restored")
    allowance.for_partner(before.partner_id).consume(session)
    target.check_version(before.version)
    where = {"partner_id": before.partner_id, "id": before.id}
    status, email_key = session.run(session.storage.once(TenantSQL).hidden, where).fetchone()
    require_unique(session, before, collect_unique_keys(before, email_key).items())
    after = before._replace(status=status, deleted_at=None, purge_at=None)
    return apply_transition(session, actor, "tenant.restored", before, after, {"status_before": None, "live": 1})


def purge(session: Session, actor: Actor, target: Target) -> bool:
    """Purge a tenant in any state. Return False if deprovisioning steps run first; the row is removed after them.

    Either way the tenant can no longer be read. Raises `TenantNotFound`, and errors of the target's version check.
    """
    before = lock_tenant(session, target)
    target.check_version(before.version)
    if before.status != "deleted":
        quotas.subtract_tenants(session, before.partner_id)
    return remove_or_retire(session, actor, before)


def make_suspension(tenant: Tenant, reason: str | None) -> Transition:
    """Build the suspension of a tenant. Raises `InvalidState`."""
    return _make_status_change("tenant.suspended", tenant, "active", "suspended", reason)


def make_reactivation(tenant: Tenant) -> Transition:
    """Build the reactivation of a tenant. Raises `InvalidState`."""
    return _make_status_change("tenant.reactivated", tenant, "suspended", "active", None)


def make_deletion(tenant: Tenant, now: float, retention_days: int) -> Transition:
    """Build the deletion of a tenant at the time `now`, in seconds since 1970; no change if it is deleted already."""
    if tenant.status == "deleted":
        return Transition("tenant.deleted", tenant, tenant)
    purge_at = format_instant(now, days=retention_days)
    after = tenant._replace(status="deleted", deleted_at=format_instant(now), purge_at=purge_at)
    return Transition("tenant.deleted", tenant, after, {"status_before": tenant.status, "live": None})


def _change_status(
    session: Session, actor: Actor, target: Target, make_transition: Callable[[Tenant], Transition]
) -> Tenant:
    before = lock_tenant(session, target)
    transition = make_transition(before)
    target.check_version(before.version)
    return apply_transition(session, actor, *transition)


def _make_status_change(event_type: str, tenant: Tenant, source: str, target: str, reason: str | None) -> Transition:
    if tenant.status not in (source, target):
        raise _make_invalid_state(tenant, event_type.removeprefix("tenant."))
    if tenant.status == target:
        return Transition(event_type, tenant, tenant)
    return Transition(event_type, tenant, tenant._replace(status=target, suspended_reason=reason))


def _make_invalid_state(tenant: Tenant, action: str) -> InvalidState:
    return InvalidState(f"A tenant that is {tenant.status} cannot be {action}.", tenant_status=tenant.status)


def move(session: Session, actor: Actor, target: Target, partner: str) -> Tenant:
    """Move a tenant to `partner`. Return it unchanged if it belongs to that partner already.

    Raises `TenantNotFound`, `InvalidState` if it is deleted or its steps are running, `InvalidInput` if there is no
    such partner, `PlanNotAllowed`, `QuotaExceeded`, `TenantExists`, and errors of the target's version check.
    """
    before = lock_tenant(session, target)
    if before.status in ("deleted", "provisioning"):
        raise InvalidState(f"A tenant that is {before.status} cannot be moved.", tenant_status=before.status)
    session.storage.require_ready(session, "tenant.move", before)
    if before.partner_id == partner:
        target.check_version(before.version)
        return before
    if partners.find_partner(session, partner) is None:
        raise make_invalid_input([make_entry(UNKNOWN_PARTNER, "partner")])
    require_plan_allowed(session, partner, before.plan)
    quotas.transfer_quota(session, before.partner_id, partner)
    target.check_version(before.version)
    after = _move_row(session, before, partner)
    erasure.note_move(session, before.partner_id, before.id)
    _record_move(session, actor, before, after)
    run_reactions(session, actor, "tenant.moved", before, after)
    return after


def _move_row(session: Session, before: Tenant, partner: str) -> Tenant:
    """Move the row. Raises `TenantExists` if another tenant of `partner` has its email or external id."""
    sql = session.storage.once(TenantSQL)
    where = {"partner_id": before.partner_id, "id": before.id}
    _, email_key = session.run(sql.hidden, where).fetchone()
    at = session.storage.next_timestamp(before.updated_at)
    after = before._replace(partner_id=partner, version=before.version + 1, updated_at=at)
    require_unique(session, after, collect_unique_keys(after, email_key).items())
    changed = {"new_partner_id": partner, "new_version": after.version, "new_updated_at": at}
    try:
        count = session.storage.once(MoveSQL).tenant.run(session, {**where, **changed, "version": before.version})
    except UniqueViolation as violation:
        raise make_conflict(get_unique_field(violation.constraint)) from violation
    if count != 1:
        raise StaleRead(before.id)
    return after


def _record_move(session: Session, actor: Actor, before: Tenant, after: Tenant) -> None:
    """Record the event in the feeds of both partners."""
    storage, event_type = session.storage, "tenant.moved"
    new_partner_event = build_change_event(storage, actor, event_type, before, after, after.updated_at)
    changes = {"partner": {"previous": before.partner_id, "new": after.partner_id}}
    document = render_tenant_document(after, storage.registry.fields)
    old_partner_event = build_event(storage, actor, event_type, before.partner_id, document, after.updated_at, changes)
    record_event(session, old_partner_event)
    record_event(session, new_partner_event)


class MoveSQL:
    """The statement that moves a tenant, compiled once per storage."""

    def __init__(self, storage: Storage) -> None:
        table = storage.table("tenants")
        values = bind_new_values(table.c, ("version", "updated_at"))
        self.tenant = RowTransfer(table, storage.engine.dialect, ("id", "version"), values)


_PURGE_BATCH = 100
#: The partner of an actor that acts for the whole installation.
ALL_PARTNERS = "*"


def purge_due(storage: Storage, actor: Actor) -> int:
    """Purge every tenant whose retention is over, or start its deprovisioning. Return their number.

    Each tenant is one unit of work. Concurrent calls are safe, and an interrupted call keeps what it has committed.
    """
    count = 0
    while due := storage.read(_load_due):
        count += sum(storage.transaction(partial(_purge_if_due, actor=actor, key=key)) for key in due)
    return count


def _load_due(session: Session) -> list[tuple[str, str]]:
    now = format_instant(session.storage.clock())
    parameters = {"now": now, "limit": _PURGE_BATCH}
    keys: list[tuple[str, str]] = session.run(session.storage.once(TenantSQL).due, parameters).fetchall()
    return keys


def _purge_if_due(session: Session, actor: Actor, key: tuple[str, str]) -> int:
    """Purge one tenant, unless it was purged or restored by another transaction. Return the number purged."""
    where, now = {"partner_id": key[0], "id": key[1]}, format_instant(session.storage.clock())
    row = session.run(session.storage.once(TenantSQL).lock, where).fetchone()
    tenant = None if row is None else Tenant._make(row)
    if tenant is None or tenant.status != "deleted" or (tenant.purge_at or "") > now:
        return 0
    remove_or_retire(session, actor, tenant)
    return 1
