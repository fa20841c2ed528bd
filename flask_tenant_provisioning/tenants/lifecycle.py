"""A tenant's states: ``provisioning → active ⇄ suspended``, any ``→ deleted →`` purged, ``provisioning → failed``.

Each public function is one unit of work. A tenant that is already where it is to go stays as it is, without an event.
"""

from __future__ import annotations

from collections.abc import Callable

from ..access import Actor
from ..database import Session, instant
from ..problems import InvalidState
from . import usage
from .changes import Target, apply, end, locked
from .conflicts import refuse_taken
from .models import Tenant
from .statements import TenantSQL
from .transition import Transition


def suspend(session: Session, actor: Actor, target: Target, reason: str | None = None) -> Tenant:
    """Suspend an active tenant. Raises `TenantNotFound`, `InvalidState`, and what `expected` raises."""
    return _moved(session, actor, target, lambda tenant: suspension(tenant, reason))


def reactivate(session: Session, actor: Actor, target: Target) -> Tenant:
    """Make a suspended tenant active again. Raises `TenantNotFound`, `InvalidState`, and what `expected` raises."""
    return _moved(session, actor, target, reactivation)


def delete(session: Session, actor: Actor, target: Target, retention_days: int, *, counts: bool = True) -> Tenant:
    """Delete a tenant for now: it can be restored for `retention_days`. Its email and external id are free again.

    Without `counts` the caller counts one less. Raises `TenantNotFound`, and what `expected` raises.
    """
    before = locked(session, target)
    target.expected(before.version)
    if before.status == "deleted":
        return before
    if counts:
        usage.release(session, before.partner_id)
    return apply(session, actor, *deletion(before, session.storage.clock(), retention_days))


def restore(session: Session, actor: Actor, target: Target, allowance: usage.Allowance) -> Tenant:
    """Undo a deletion, back to the status of before.

    Raises `TenantNotFound`, `InvalidState` where it is not deleted, `TenantExists` where its email or external id was
    taken meanwhile, `LicenseExpired`, `QuotaExceeded`, and what `expected` raises.
    """
    before = locked(session, target)
    if before.status != "deleted":
        raise _wrong_state(before, "restored")
    allowance.within(before.partner_id).take(session)
    target.expected(before.version)
    where = {"partner_id": before.partner_id, "id": before.id}
    status, email_key = session.run(session.storage.once(TenantSQL).hidden, where).fetchone()
    claims = {"email": email_key} | ({"external_id": before.external_id} if before.external_id is not None else {})
    refuse_taken(session, before, claims.items())
    after = before._replace(status=status, deleted_at=None, purge_at=None)
    return apply(session, actor, "tenant.restored", before, after, {"status_before": None, "live": 1})


def purge(session: Session, actor: Actor, target: Target) -> bool:
    """Remove a tenant for good, whatever its state; False where the host's steps do so later, out of everybody's sight.

    Raises `TenantNotFound`, and what `expected` raises.
    """
    before = locked(session, target)
    target.expected(before.version)
    if before.status != "deleted":
        usage.release(session, before.partner_id)
    return end(session, actor, before)


def suspension(tenant: Tenant, reason: str | None) -> Transition:
    """What suspending makes of a tenant. Raises `InvalidState`."""
    return _move("tenant.suspended", tenant, "active", "suspended", reason)


def reactivation(tenant: Tenant) -> Transition:
    """What reactivating makes of a tenant. Raises `InvalidState`."""
    return _move("tenant.reactivated", tenant, "suspended", "active", None)


def deletion(tenant: Tenant, now: float, retention_days: int) -> Transition:
    """What deleting makes of a tenant at the time `now`; nothing of one that is deleted."""
    if tenant.status == "deleted":
        return Transition("tenant.deleted", tenant, tenant)
    purge_at = instant(now, days=retention_days)
    after = tenant._replace(status="deleted", deleted_at=instant(now), purge_at=purge_at)
    return Transition("tenant.deleted", tenant, after, {"status_before": tenant.status, "live": None})


def _moved(session: Session, actor: Actor, target: Target, move: Callable[[Tenant], Transition]) -> Tenant:
    before = locked(session, target)
    found = move(before)
    target.expected(before.version)
    return apply(session, actor, *found)


def _move(kind: str, tenant: Tenant, source: str, goal: str, reason: str | None) -> Transition:
    if tenant.status not in (source, goal):
        raise _wrong_state(tenant, kind.removeprefix("tenant."))
    after = tenant if tenant.status == goal else tenant._replace(status=goal, suspended_reason=reason)
    return Transition(kind, tenant, after)


def _wrong_state(tenant: Tenant, done: str) -> InvalidState:
    return InvalidState(f"A tenant that is {tenant.status} cannot be {done}.", tenant_status=tenant.status)
