"""Start, pause, resume, move and end runs in the transactions that create, delete, restore, move and purge tenants."""

from __future__ import annotations

from ..database.session import Session
from ..errors import InvalidState
from ..registry import DEPROVISIONING, PROVISIONING, Registry
from ..tenants.models import Tenant
from ..tenants.mutations import TenantChange
from . import runs
from .models import Run
from .statements import StepSQL

_ACTIVE_STATES = frozenset({"running", "paused", "undoing"})


class StepsReaction:
    """Reaction to changes of tenants: applies them to the runs of one mount, in the same transaction."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def concerns(self, operation: str) -> bool:
        """Return whether `operation` affects runs; a creation does so only if the host has provisioning steps."""
        if operation == "tenant.create":
            return bool(self._registry.list_steps(PROVISIONING))
        return operation in _HANDLERS

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Return whether `operation` is only started now, and completed by steps."""
        if operation == "tenant.create":
            return True
        if operation != "tenant.purge" or tenant is None:
            return False
        return bool(self._registry.list_steps(DEPROVISIONING)) or _load_active_run(session, tenant) is not None

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """Raise `InvalidState` if a tenant is to be moved while its provisioning is running or being undone."""
        run = _load_active_run(session, tenant) if operation == "tenant.move" else None
        if run is not None:
            detail = f"A tenant whose provisioning is {run.state} cannot be moved."
            raise InvalidState(detail, provisioning_state=run.state)

    def __call__(self, session: Session, change: TenantChange) -> None:
        """Start, pause, resume, cancel, move or delete the tenant's runs."""
        _HANDLERS[change.operation](session, self._registry, change)


def _start_provisioning(session: Session, registry: Registry, change: TenantChange) -> None:
    if change.after.status == "provisioning":
        runs.start_run(session, registry, change.actor, change.after, PROVISIONING)


def _pause_provisioning(session: Session, registry: Registry, change: TenantChange) -> None:
    """Pause provisioning, since the tenant is deleted before it was active."""
    if change.before is not None and change.before.status not in ("provisioning", "failed"):
        return
    run = _load_active_run(session, change.after)
    if run is not None and run.state == "running":
        runs.pause_run(session, run)


def _resume_provisioning(session: Session, registry: Registry, change: TenantChange) -> None:
    run = _load_active_run(session, change.after)
    if run is not None and run.state == "paused":
        runs.resume_run(session, registry, change.after, run)


def _start_deprovisioning(session: Session, registry: Registry, change: TenantChange) -> None:
    """Start deprovisioning, or let it wait until unfinished provisioning is undone."""
    run = _load_active_run(session, change.after)
    if run is not None and run.state != "undoing":
        runs.cancel_run(session, registry, change.after, run)
    state = "pending" if _load_active_run(session, change.after) else "running"
    runs.start_run(session, registry, change.actor, change.after, DEPROVISIONING, state)


def _move_runs(session: Session, registry: Registry, change: TenantChange) -> None:
    """Move the runs with the tenant; `require_ready` has made sure that no step is running."""
    before = change.before or change.after
    where = {"partner_id": before.partner_id, "tenant_id": before.id, "new_partner_id": change.after.partner_id}
    for relocation in session.storage.once(StepSQL).relocations:
        relocation.run(session, where)


def _delete_runs(session: Session, registry: Registry, change: TenantChange) -> None:
    for statement in session.storage.once(StepSQL).deletions:
        session.run(statement, {"partner_id": change.after.partner_id, "tenant_id": change.after.id})


def _load_active_run(session: Session, tenant: Tenant) -> Run | None:
    run = runs.load_run(session, tenant.partner_id, tenant.id, PROVISIONING)
    return run if run is not None and run.state in _ACTIVE_STATES else None


_HANDLERS = {
    "tenant.create": _start_provisioning,
    "tenant.delete": _pause_provisioning,
    "tenant.restore": _resume_provisioning,
    "tenant.move": _move_runs,
    "tenant.retire": _start_deprovisioning,
    "tenant.purge": _delete_runs,
}
