"""A tenant's states: ``provisioning → active ⇄ suspended``, any ``→ deleted →`` purged, ``provisioning → failed``.

Each public function is one unit of work. A tenant that is already where it is to go stays as it is, without an event.
"""

from __future__ import annotations

from ..access import Actor
from ..database import Session, instant
from ..problems import InvalidState
from . import usage
from .changes import Target, apply, end, locked
from .conflicts import refuse_taken
from .models import Tenant
from .statements import TenantSQL


def suspend(session: Session, actor: Actor, target: Target, reason: str | None = None) -> Tenant:
    """Suspend an active tenant. Raises `TenantNotFound`, `InvalidState`, and what `expected` raises."""
    return _moved(session, actor, "tenant.suspended", target, "active", "suspended", reason)


def reactivate(session: Session, actor: Actor, target: Target) -> Tenant:
    """Make a suspended tenant active again. Raises `TenantNotFound`, `InvalidState`, and what `expected` raises."""
    return _moved(session, actor, "tenant.reactivated", target, "suspended", "active", None)


def delete(session: Session, actor: Actor, target: Target, retention_days: int) -> Tenant:
    """Delete a tenant for now: it can be restored for `retention_days`. Its email and external id are free again.

    Raises `TenantNotFound`, and what `expected` raises.
    """
    before = locked(session, target)
    target.expected(before.version)
    if before.status == "deleted":
        return before
    usage.release(session)
    now = session.storage.clock()
    purge_at = instant(now, days=retention_days)
    after = before._replace(status="deleted", deleted_at=instant(now), purge_at=purge_at)
    return apply(session, actor, "tenant.deleted", before, after, {"status_before": before.status, "live": None})


def restore(session: Session, actor: Actor, target: Target, allowance: usage.Allowance) -> Tenant:
    """Undo a deletion, back to the status of before.

    Raises `TenantNotFound`, `InvalidState` where it is not deleted, `TenantExists` where its email or external id was
    taken meanwhile, `LicenseExpired`, `QuotaExceeded`, and what `expected` raises.
    """
    before = locked(session, target)
    if before.status != "deleted":
        raise _wrong_state(before, "restored")
    allowance.take(session)
    target.expected(before.version)
    where = {"partner_id": before.partner_id, "id": before.id}
    status, email_key = session.run(session.storage.once(TenantSQL).hidden, where).fetchone()
    refuse_taken(session, before._replace(email="", external_id=None), before, {"email_key": email_key})
    after = before._replace(status=status, deleted_at=None, purge_at=None)
    return apply(session, actor, "tenant.restored", before, after, {"status_before": None, "live": 1})


def purge(session: Session, actor: Actor, target: Target) -> bool:
    """Remove a tenant for good, whatever its state; False where the host's steps do so later, out of everybody's sight.

    Raises `TenantNotFound`, and what `expected` raises.
    """
    before = locked(session, target)
    target.expected(before.version)
    if before.status != "deleted":
        usage.release(session)
    return end(session, actor, before)


def _moved(
    session: Session, actor: Actor, kind: str, target: Target, source: str, goal: str, reason: str | None
) -> Tenant:
    before = locked(session, target)
    if before.status not in (source, goal):
        raise _wrong_state(before, kind.removeprefix("tenant."))
    target.expected(before.version)
    if before.status == goal:
        return before
    return apply(session, actor, kind, before, before._replace(status=goal, suspended_reason=reason))


def _wrong_state(tenant: Tenant, done: str) -> InvalidState:
    return InvalidState(f"A tenant that is {tenant.status} cannot be {done}.", tenant_status=tenant.status)
