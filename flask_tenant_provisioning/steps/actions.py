"""Show, retry and cancel a tenant's steps. What takes a `Session` runs in the caller's unit of work."""

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
from .models import STEP_WORK, Run, RunStep
from .statements import StepSQL


def read_progress(session: Session, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """Return the progress of a tenant's provisioning, or of its deprovisioning once that has begun.

    `partner` limits the lookup to one partner; None means any. Raises `TenantNotFound`.
    """
    tenant = mutations.load_tenant_in_any_state(session, partner, tenant_id)
    run = _load_latest_run(session, tenant)
    if run is None:
        mutations.load_tenant(session, partner, tenant_id)
        return _render_without_steps(tenant)
    return _render_run(run, runs.load_steps(session, run))


def read_error_reasons(session: Session, partner: str | None, tenant_id: str) -> dict[str, str]:
    """Return the exception messages of failed steps by step name. For operators only. Raises `TenantNotFound`."""
    run = _load_latest_run(session, mutations.load_tenant_in_any_state(session, partner, tenant_id))
    steps = [] if run is None else runs.load_steps(session, run)
    return {step.name: step.error_reason for step in steps if step.error_reason}


def retry(session: Session, actor: Actor, target: Target, registry: Registry, license: LicenseSource) -> dict[str, Any]:
    """Retry at once the steps that failed, were undone, or wait for their next attempt.

    Raises `TenantNotFound`, `InvalidState` if nothing can be retried, `LicenseExpired`, and what the target's
    precondition raises.
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
        _start_next_round(session, actor, registry, tenant, run)
    return read_progress(session, tenant.partner_id, tenant.id)


def cancel(session: Session, actor: Actor, target: Target, registry: Registry) -> dict[str, Any]:
    """Stop provisioning and undo its steps; the tenant becomes `failed`. Cancelling twice changes nothing.

    Raises `TenantNotFound`, `InvalidState` if nothing is being provisioned, and what the target's precondition raises.
    """
    tenant = _lock_tenant(session, target)
    run = _load_latest_run(session, tenant)
    if run is None or run.phase == DEPROVISIONING:
        raise _make_state_error(run, "cancelled")
    if run.state == "running":
        runs.cancel_run(session, registry, tenant, run)
    elif run.outcome != "cancelled":
        raise _make_state_error(run, "cancelled")
    return read_progress(session, tenant.partner_id, tenant.id)


def _lock_tenant(session: Session, target: Target) -> Tenant:
    """Lock the tenant, also one that is being purged. Raises `TenantNotFound`, and what the precondition raises."""
    current = mutations.load_tenant_in_any_state(session, target.partner, target.id)
    tenant = mutations.lock_tenant_in_any_state(session, current.partner_id, current.id)
    if tenant is None or (_load_latest_run(session, tenant) is None and tenant.status == "deleted"):
        tenant = mutations.lock_tenant(session, target)
    target.check_version(tenant.version)
    return tenant


def _load_latest_run(session: Session, tenant: Tenant) -> Run | None:
    deprovisioning = runs.load_run(session, tenant.partner_id, tenant.id, DEPROVISIONING)
    return deprovisioning or runs.load_run(session, tenant.partner_id, tenant.id, PROVISIONING)


def _make_waiting_steps_due(session: Session, run: Run) -> None:
    """Make the steps due that wait for their next attempt."""
    now = format_instant(session.storage.clock())
    for step in runs.load_steps(session, run):
        if (
            step.state == "waiting"
            and step.due_at is not None
            and runs.update_unclaimed_step(session, step, due_at=now)
        ):
            session.notify_worker((STEP_WORK, *step.key.values()))


def _start_next_round(session: Session, actor: Actor, registry: Registry, tenant: Tenant, run: Run) -> None:
    """Start another round: succeeded steps stay, all others are planned again from the steps declared now."""
    state: dict[str, Any] = {"state": "running", "outcome": None, "finished_at": None, "request_id": actor.request_id}
    run = runs.update_run(session, run, **state, round=run.round + 1)
    _replan_steps(session, registry, run)
    if run.phase == PROVISIONING:
        restarted = tenant._replace(status="provisioning")
        tenant = mutations.apply_transition(session, actor, "tenant.updated", tenant, restarted, with_reactions=False)
    runs.advance_run(session, registry, tenant, run)


def _replan_steps(session: Session, registry: Registry, run: Run) -> None:
    sql, stored = session.storage.once(StepSQL), {step.name: step for step in runs.load_steps(session, run)}
    for position, declaration in enumerate(registry.list_steps(run.phase)):
        step = stored.pop(declaration.name, None)
        if step is None:
            session.run(sql.add_step, runs.make_run_step(session, run, declaration, position)._asdict())
            continue
        values: dict[str, Any] = {"position": position, "after": json.dumps(declaration.after)}
        if step.state != "succeeded":
            values |= {"state": "waiting", "attempts": 0, "undo_attempts": 0, "due_at": None}
            values |= {"started_at": None, "finished_at": None, "error_class": None, "error_message": None}
            values |= {"error_reason": None, "traceparent": session.storage.telemetry.get_traceparent()}
        runs.update_step(session, step, **values)
    for step in stored.values():
        if step.state != "succeeded":
            session.run(sql.delete_step, step.key)


def _make_state_error(run: Run | None, action: str) -> InvalidState:
    state = run.state if run else "succeeded"
    return InvalidState(f"Provisioning that is {state} cannot be {action}.", provisioning_state=state)


def _render_without_steps(tenant: Tenant) -> dict[str, Any]:
    """Return the progress of a tenant without steps, which its creation has provisioned."""
    at = tenant.created_at
    return _render_run(Run(tenant.partner_id, tenant.id, PROVISIONING, "succeeded", None, 1, None, at, at), [])


def _render_run(run: Run, steps: list[RunStep]) -> dict[str, Any]:
    return {
        "tenant": run.tenant_id,
        "phase": run.phase,
        "state": run.state,
        "round": run.round,
        "created_at": shorten_instant(run.created_at),
        "finished_at": shorten_instant(run.finished_at),
        "steps": [_render_step(step) for step in steps],
    }


def _render_step(step: RunStep) -> dict[str, Any]:
    error = {"class": step.error_class, "message": step.error_message} if step.error_class else None
    is_planned = step.state in ("waiting", "undoing")
    return {
        "name": step.name,
        "after": json.loads(step.after),
        "state": step.state,
        "attempts": step.attempts,
        "undo_attempts": step.undo_attempts,
        "started_at": shorten_instant(step.started_at),
        "finished_at": shorten_instant(step.finished_at),
        "next_attempt_at": shorten_instant(step.due_at) if is_planned else None,
        "error": error,
    }
