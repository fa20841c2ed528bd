"""What the API does about a tenant's steps: show them, try again, cancel. Each public function is one unit of work."""

from __future__ import annotations

import json
from typing import Any

from ..access import Actor
from ..database import Session, instant, shown
from ..hooks import DEPROVISIONING, PROVISIONING, Hooks
from ..licensing import LicenseSource
from ..problems import InvalidState
from ..tenants import changes
from ..tenants.changes import Target
from ..tenants.models import Tenant
from . import runs
from .claims import key_of
from .models import Run, Stage
from .statements import StepSQL


def read(session: Session, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """How far a tenant's provisioning has come, or its deprovisioning once that has begun.

    `partner` fences; None means anybody's. Raises `TenantNotFound`.
    """
    tenant = changes.whereabouts(session, partner, tenant_id)
    run = _latest(session, tenant)
    if run is None:
        changes.read(session, partner, tenant_id)
        return _unplanned(tenant)
    return _document(run, runs.stages_of(session, run))


def reasons(session: Session, partner: str | None, tenant_id: str) -> dict[str, str]:
    """Why steps failed, in the words of their exceptions, by the names of the steps: for operators alone."""
    run = _latest(session, changes.whereabouts(session, partner, tenant_id))
    stages = [] if run is None else runs.stages_of(session, run)
    return {stage.name: stage.error_reason for stage in stages if stage.error_reason}


def retry(session: Session, actor: Actor, target: Target, hooks: Hooks, license: LicenseSource) -> dict[str, Any]:
    """Try again at once: what failed, what was taken back, and what would be tried again later anyway.

    Raises `TenantNotFound`, `InvalidState` where nothing can be tried again, `LicenseExpired`.
    """
    tenant = _held(session, target)
    run = _latest(session, tenant)
    if run is None or run.state in ("succeeded", "undoing", "pending"):
        raise _wrong(run, "tried again")
    if run.phase == PROVISIONING:
        license.require_provisioning()
        if tenant.status == "deleted":
            raise InvalidState("A deleted tenant cannot be provisioned.", tenant_status=tenant.status)
    if run.state == "running":
        _hasten(session, run)
    else:
        _restart(session, actor, hooks, tenant, run)
    return read(session, tenant.partner_id, tenant.id)


def cancel(session: Session, actor: Actor, target: Target, hooks: Hooks) -> dict[str, Any]:
    """Stop provisioning and take back what was done; the tenant fails. Already cancelled: nothing changes.

    Raises `TenantNotFound`, `InvalidState` where nothing is being provisioned.
    """
    tenant = _held(session, target)
    run = _latest(session, tenant)
    if run is None or run.phase == DEPROVISIONING:
        raise _wrong(run, "cancelled")
    if run.state == "running":
        runs.cancel(session, hooks, tenant, run)
    elif run.outcome != "cancelled":
        raise _wrong(run, "cancelled")
    return read(session, tenant.partner_id, tenant.id)


def _held(session: Session, target: Target) -> Tenant:
    """The tenant, purged ones that are not gone yet too. Raises `TenantNotFound`, and what `expected` raises."""
    found = changes.whereabouts(session, target.partner, target.id)
    tenant = changes.held(session, found.partner_id, found.id)
    if tenant is None or (_latest(session, tenant) is None and tenant.status == "deleted"):
        tenant = changes.locked(session, target)
    target.expected(tenant.version)
    return tenant


def _latest(session: Session, tenant: Tenant) -> Run | None:
    ending = runs.read(session, tenant.partner_id, tenant.id, DEPROVISIONING)
    return ending or runs.read(session, tenant.partner_id, tenant.id, PROVISIONING)


def _hasten(session: Session, run: Run) -> None:
    """Do now what was to be tried again later."""
    now = instant(session.storage.clock())
    for stage in runs.stages_of(session, run):
        if stage.state == "waiting" and stage.due_at is not None and runs.settle(session, stage, due_at=now):
            session.wake(stage[:4])


def _restart(session: Session, actor: Actor, hooks: Hooks, tenant: Tenant, run: Run) -> None:
    """Begin another round: what has succeeded stays, all else is planned anew from the host's steps of today."""
    state: dict[str, Any] = {"state": "running", "outcome": None, "finished_at": None, "request_id": actor.request_id}
    run = runs.change_run(session, run, **state, round=run.round + 1)
    _replan(session, hooks, run)
    if run.phase == PROVISIONING:
        again = tenant._replace(status="provisioning")
        tenant = changes.apply(session, actor, "tenant.updated", tenant, again, consult=False)
    runs.advance(session, hooks, tenant, run)


def _replan(session: Session, hooks: Hooks, run: Run) -> None:
    sql, known = session.storage.once(StepSQL), {stage.name: stage for stage in runs.stages_of(session, run)}
    for position, step in enumerate(hooks.steps(run.phase)):
        stage = known.pop(step.name, None)
        if stage is None:
            session.run(sql.add_step, runs.planned(run, step, position)._asdict())
            continue
        values: dict[str, Any] = {"position": position, "after": json.dumps(step.after)}
        if stage.state != "succeeded":
            values |= {"state": "waiting", "attempts": 0, "undo_attempts": 0, "due_at": None}
            values |= {"started_at": None, "finished_at": None, "error_class": None, "error_message": None}
            values |= {"error_reason": None}
        runs.change(session, stage, **values)
    for stage in known.values():
        if stage.state != "succeeded":
            session.run(sql.drop_step, key_of(stage))


def _wrong(run: Run | None, done: str) -> InvalidState:
    state = run.state if run else "succeeded"
    return InvalidState(f"Provisioning that is {state} cannot be {done}.", provisioning_state=state)


def _unplanned(tenant: Tenant) -> dict[str, Any]:
    """A tenant that came without steps is provisioned by its creation."""
    at = tenant.created_at
    return _document(Run(tenant.partner_id, tenant.id, PROVISIONING, "succeeded", None, 1, None, at, at), [])


def _document(run: Run, stages: list[Stage]) -> dict[str, Any]:
    return {
        "tenant": run.tenant_id,
        "phase": run.phase,
        "state": run.state,
        "round": run.round,
        "created_at": shown(run.created_at),
        "finished_at": shown(run.finished_at),
        "steps": [_step(stage) for stage in stages],
    }


def _step(stage: Stage) -> dict[str, Any]:
    error = {"class": stage.error_class, "message": stage.error_message} if stage.error_class else None
    is_planned = stage.state in ("waiting", "undoing")
    return {
        "name": stage.name,
        "after": json.loads(stage.after),
        "state": stage.state,
        "attempts": stage.attempts,
        "undo_attempts": stage.undo_attempts,
        "started_at": shown(stage.started_at),
        "finished_at": shown(stage.finished_at),
        "next_attempt_at": shown(stage.due_at) if is_planned else None,
        "error": error,
    }
