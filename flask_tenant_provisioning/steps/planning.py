"""How the steps take part in the tenant's own transactions: planned with its creation, paused with its deletion."""

from __future__ import annotations

from ..database import Session
from ..hooks import DEPROVISIONING, PROVISIONING, Hooks
from ..problems import InvalidState
from ..tenants.consulting import Change
from ..tenants.models import Tenant
from . import runs
from .models import Run
from .statements import StepSQL

_ACTIVE = frozenset({"running", "paused", "undoing"})


class Planning:
    """What the steps of one mount do in the transactions of others."""

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    def concerns(self, operation: str, tenant: Tenant | None = None) -> bool:
        """Whether something happens with `operation`: deletion pauses what is being built, and nothing else."""
        if operation == "tenant.create":
            return bool(self._hooks.steps(PROVISIONING))
        if operation == "tenant.delete" and tenant is not None:
            return tenant.status in ("provisioning", "failed")
        return operation in _REACTIONS

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Whether `operation` is only begun now, and ended by steps."""
        if operation == "tenant.create":
            return bool(self._hooks.steps(PROVISIONING))
        if operation != "tenant.purge" or tenant is None:
            return False
        return bool(self._hooks.steps(DEPROVISIONING)) or _active(session, tenant) is not None

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """Raise `InvalidState` where a tenant is to be moved while steps build it or undo what they built."""
        if operation == "tenant.move" and (run := _active(session, tenant)) is not None:
            detail = f"A tenant whose provisioning is {run.state} cannot be moved."
            raise InvalidState(detail, provisioning_state=run.state)

    def __call__(self, session: Session, change: Change) -> None:
        """Plan, pause, resume, cancel, move or forget the tenant's runs."""
        reaction = _REACTIONS.get(change.operation)
        if reaction is not None:
            reaction(session, self._hooks, change)


def _created(session: Session, hooks: Hooks, change: Change) -> None:
    if change.after.status == "provisioning":
        runs.begin(session, hooks, change.actor, change.after, PROVISIONING)


def _deleted(session: Session, hooks: Hooks, change: Change) -> None:
    """Nothing is built for a tenant that is deleted."""
    run = _active(session, change.after)
    if run is not None and run.state == "running":
        runs.pause(session, run)


def _restored(session: Session, hooks: Hooks, change: Change) -> None:
    run = _active(session, change.after)
    if run is not None and run.state == "paused":
        runs.resume(session, hooks, change.after, run)


def _retired(session: Session, hooks: Hooks, change: Change) -> None:
    """Its end begins, once what was built of its beginning is taken back."""
    run = _active(session, change.after)
    if run is not None and run.state != "undoing":
        runs.cancel(session, hooks, change.after, run)
    state = "pending" if _active(session, change.after) else "running"
    runs.begin(session, hooks, change.actor, change.after, DEPROVISIONING, state)


def _moved(session: Session, hooks: Hooks, change: Change) -> None:
    """Move what was built along with the tenant; `require_ready` has seen that no step is at work on it."""
    before = change.before or change.after
    where = {"partner_id": before.partner_id, "tenant_id": before.id, "new_partner_id": change.after.partner_id}
    for relocation in session.storage.once(StepSQL).relocations:
        relocation.run(session, where)


def _purged(session: Session, hooks: Hooks, change: Change) -> None:
    for statement in session.storage.once(StepSQL).forget:
        session.run(statement, {"partner_id": change.after.partner_id, "tenant_id": change.after.id})


def _active(session: Session, tenant: Tenant) -> Run | None:
    run = runs.read(session, tenant.partner_id, tenant.id, PROVISIONING)
    return run if run is not None and run.state in _ACTIVE else None


_REACTIONS = {
    "tenant.create": _created,
    "tenant.delete": _deleted,
    "tenant.restore": _restored,
    "tenant.move": _moved,
    "tenant.retire": _retired,
    "tenant.purge": _purged,
}
