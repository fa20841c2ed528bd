"""What the API does about a tenant's steps: show them, try again, cancel. Each public function is one unit of work."""

from __future__ import annotations

import json
from typing import Any

from ..access.principal import Actor
from ..database.ids import format_instant, shorten_instant
from ..database.session import Session
from ..errors import InvalidState
from ..licensing.source import LicenseSource
from ..registry import DEPROVISIONING, PROVISIONING, Registry
from ..tenants import mutations
from ..tenants.models import Tenant
from ..tenants.mutations import Target
from . import runs
from .claims import key_columns
from .models import Run, RunStep
from .statements import StepSQL


def read_progress(session: Session, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """How far a tenant's provisioning has come, or its deprovisioning once that has begun.

    `partner` fences; None means anybody's. Raises `TenantNotFound`.
    """
    tenant = mutations.load_tenant_in_any_state(session, partner, tenant_id)
    run = _load_latest_run(session, tenant)
    if run is None:
        mutations.load_tenant(session, partner, tenant_id)
        return _render_without_steps(tenant)
    return _render_run(run, runs.load_steps(session, run))


def read_error_reasons(session: Session, partner: str | None, tenant_id: str) -> dict[str, str]:
    """Why steps failed, in the words of their exceptions, by the names of the steps: for operators alone."""
    run = _load_latest_run(session, mutations.load_tenant_in_any_state(session, partner, tenant_id))
    stages = [] if run is None else runs.load_steps(session, run)
    return {stage.name: stage.error_reason for stage in stages if stage.error_reason}


def retry(session: Session, actor: Actor, target: Target, hooks: Registry, license: LicenseSource) -> dict[str, Any]:
    """Try again at once: what failed, what was taken back, and what would be tried again later anyway.

    Raises `TenantNotFound`, `InvalidState` where nothing can be tried again, `LicenseExpired`.
    """
    tenant = _lock_tenant(session, target)
    run = _load_latest_run(session, tenant)
    if run is None or run.state in ("succeeded", "undoing", "pending"):
        raise _make_state_error(run, "tried again")
    if run.phase == PROVISIONING:
        license.require_provisioning()
        if tenant.status == "deleted":
            raise InvalidState("A deleted tenant cannot be provisioned.", tenant_status=tenant.status)
    if run.state == "running":
        _make_waiting_steps_due(session, run)
    else:
        _start_next_round(session, actor, hooks, tenant, run)
    return read_progress(session, tenant.partner_id, tenant.id)


def cancel(session: Session, actor: Actor, target: Target, hooks: Registry) -> dict[str, Any]:
    """Stop provisioning and take back what was done; the tenant fails. Already cancelled: nothing changes.

    Raises `TenantNotFound`, `InvalidState` where nothing is being provisioned.
    """
    tenant = _lock_tenant(session, target)
    run = _load_latest_run(session, tenant)
    if run is None or run.phase == DEPROVISIONING:
        raise _make_state_error(run, "cancelled")
    if run.state == "running":
        runs.cancel_run(session, hooks, tenant, run)
    elif run.outcome != "cancelled":
        raise _make_state_error(run, "cancelled")
    return read_progress(session, tenant.partner_id, tenant.id)


def _lock_tenant(session: Session, target: Target) -> Tenant:
    """The tenant, purged ones that are not gone yet too. Raises `TenantNotFound`, and what `expected` raises."""
    found = mutations.load_tenant_in_any_state(session, target.partner, target.id)
    tenant = mutations.lock_tenant_in_any_state(session, found.partner_id, found.id)
    if tenant is None or (_load_latest_run(session, tenant) is None and tenant.status == "deleted"):
        tenant = mutations.lock_tenant(session, target)
    target.check_version(tenant.version)
    return tenant


def _load_latest_run(session: Session, tenant: Tenant) -> Run | None:
    ending = runs.load_run(session, tenant.partner_id, tenant.id, DEPROVISIONING)
    return ending or runs.load_run(session, tenant.partner_id, tenant.id, PROVISIONING)


def _make_waiting_steps_due(session: Session, run: Run) -> None:
    """Do now what was to be tried again later."""
    now = format_instant(session.storage.clock())
    for stage in runs.load_steps(session, run):
        if (
            stage.state == "waiting"
            and stage.due_at is not None
            and runs.update_unclaimed_step(session, stage, due_at=now)
        ):
            session.notify_worker(stage[:4])


def _start_next_round(session: Session, actor: Actor, hooks: Registry, tenant: Tenant, run: Run) -> None:
    """Begin another round: what has succeeded stays, all else is planned anew from the host's steps of today."""
    state: dict[str, Any] = {"state": "running", "outcome": None, "finished_at": None, "request_id": actor.request_id}
    run = runs.update_run(session, run, **state, round=run.round + 1)
    _replan_steps(session, hooks, run)
    if run.phase == PROVISIONING:
        again = tenant._replace(status="provisioning")
        tenant = mutations.apply_transition(session, actor, "tenant.updated", tenant, again, run_listeners=False)
    runs.advance_run(session, hooks, tenant, run)


def _replan_steps(session: Session, hooks: Registry, run: Run) -> None:
    sql, known = session.storage.once(StepSQL), {stage.name: stage for stage in runs.load_steps(session, run)}
    for position, step in enumerate(hooks.list_steps(run.phase)):
        stage = known.pop(step.name, None)
        if stage is None:
            session.run(sql.add_step, runs.make_run_step(run, step, position)._asdict())
            continue
        values: dict[str, Any] = {"position": position, "after": json.dumps(step.after)}
        if stage.state != "succeeded":
            values |= {"state": "waiting", "attempts": 0, "undo_attempts": 0, "due_at": None}
            values |= {"started_at": None, "finished_at": None, "error_class": None, "error_message": None}
            values |= {"error_reason": None}
        runs.update_step(session, stage, **values)
    for stage in known.values():
        if stage.state != "succeeded":
            session.run(sql.drop_step, key_columns(stage))


def _make_state_error(run: Run | None, done: str) -> InvalidState:
    state = run.state if run else "succeeded"
    return InvalidState(f"Provisioning that is {state} cannot be {done}.", provisioning_state=state)


def _render_without_steps(tenant: Tenant) -> dict[str, Any]:
    """A tenant that came without steps is provisioned by its creation."""
    at = tenant.created_at
    return _render_run(Run(tenant.partner_id, tenant.id, PROVISIONING, "succeeded", None, 1, None, at, at), [])


def _render_run(run: Run, stages: list[RunStep]) -> dict[str, Any]:
    return {
        "tenant": run.tenant_id,
        "phase": run.phase,
        "state": run.state,
        "round": run.round,
        "created_at": shorten_instant(run.created_at),
        "finished_at": shorten_instant(run.finished_at),
        "steps": [_render_step(stage) for stage in stages],
    }


def _render_step(stage: RunStep) -> dict[str, Any]:
    error = {"class": stage.error_class, "message": stage.error_message} if stage.error_class else None
    is_planned = stage.state in ("waiting", "undoing")
    return {
        "name": stage.name,
        "after": json.loads(stage.after),
        "state": stage.state,
        "attempts": stage.attempts,
        "undo_attempts": stage.undo_attempts,
        "started_at": shorten_instant(stage.started_at),
        "finished_at": shorten_instant(stage.finished_at),
        "next_attempt_at": shorten_instant(stage.due_at) if is_planned else None,
        "error": error,
    }
