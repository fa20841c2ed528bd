"""Runs of a tenant through the steps of one phase, advanced one transaction at a time.

The caller of every function that changes a run holds the lock on the tenant's row, which serializes two steps that end
at the same time, and a step with a deletion.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

from ..access.principal import WORKER_SUBJECT, Actor, Principal
from ..database.ids import format_instant
from ..database.lease import bind_claim
from ..database.session import Session
from ..database.statements import name_new_values
from ..registry import DEPROVISIONING, PROVISIONING, Registry, Step
from ..tenants import mutations
from ..tenants.models import Tenant
from .models import STEP_WORK, Run, RunStep
from .statements import StepSQL

logger = logging.getLogger(__name__)


def start_run(
    session: Session, registry: Registry, actor: Actor, tenant: Tenant, phase: str, state: str = "running"
) -> None:
    """Create a run with the steps of `phase`; in state ``running``, its first steps are due at once."""
    sql, at = session.storage.once(StepSQL), format_instant(session.storage.clock())
    run = Run(tenant.partner_id, tenant.id, phase, state, None, 1, actor.request_id, at, None)
    session.run(sql.add_run, run._asdict())
    for position, declaration in enumerate(registry.list_steps(phase)):
        session.run(sql.add_step, make_run_step(session, run, declaration, position)._asdict())
    if state == "running":
        advance_run(session, registry, tenant, run)


def make_run_step(session: Session, run: Run, declaration: Step, position: int) -> RunStep:
    """Build the row of a step that has not started."""
    return RunStep(
        partner_id=run.partner_id,
        tenant_id=run.tenant_id,
        phase=run.phase,
        name=declaration.name,
        position=position,
        after=json.dumps(declaration.after),
        state="waiting",
        attempts=0,
        undo_attempts=0,
        generation=1,
        fence=0,
        due_at=None,
        started_at=None,
        finished_at=None,
        error_class=None,
        error_message=None,
        error_reason=None,
        memory=None,
        traceparent=session.storage.telemetry.get_traceparent(),
    )


def load_run(session: Session, partner: str, tenant_id: str, phase: str) -> Run | None:
    """Load the run of `phase`, or None if there is none."""
    where = {"partner_id": partner, "tenant_id": tenant_id, "phase": phase}
    row = session.run(session.storage.once(StepSQL).select_run, where).fetchone()
    return Run._make(row) if row else None


def load_steps(session: Session, run: Run) -> list[RunStep]:
    """Load the steps of a run, in order."""
    return [RunStep._make(row) for row in session.run(session.storage.once(StepSQL).select_steps, run.key).fetchall()]


def advance_run(session: Session, registry: Registry, tenant: Tenant, run: Run) -> None:
    """Advance a run as far as its steps allow."""
    steps = load_steps(session, run)
    if run.state == "running" and has_failed_step(steps):
        _fail_run(session, registry, tenant, run, steps)
    elif run.state == "running" and have_all_succeeded(steps):
        _complete_run(session, registry, tenant, run)
    elif run.state == "running":
        for step in find_ready_steps(steps):
            make_step_due(session, step)
    elif run.state == "undoing":
        _undo_next_step(session, registry, tenant, run, steps)


def cancel_run(session: Session, registry: Registry, tenant: Tenant, run: Run) -> Tenant:
    """Start no more steps, and undo the finished ones once none is running. Returns the tenant, now `failed`."""
    return _start_undoing(session, registry, tenant, run, load_steps(session, run), "cancelled")


def pause_run(session: Session, run: Run) -> None:
    """Start no more steps; a step that is running may finish."""
    _hold_back_steps(session, load_steps(session, run))
    update_run(session, run, state="paused")


def resume_run(session: Session, registry: Registry, tenant: Tenant, run: Run) -> None:
    """Continue a paused run."""
    advance_run(session, registry, tenant, update_run(session, run, state="running"))


def make_step_due(session: Session, step: RunStep, *, state: str | None = None) -> None:
    """Make the step due now, and notify workers after the commit; `state` sets a new state with it."""
    values: dict[str, Any] = {"due_at": format_instant(session.storage.clock())}
    if state is not None:
        values |= {"state": state, "undo_attempts": 0}
    update_step(session, step, **values)
    session.notify_worker((STEP_WORK, *step.key.values()))


def update_step(session: Session, step: RunStep, **values: Any) -> None:
    """Update these columns of the step's row."""
    session.run(session.storage.once(StepSQL).change_step(*values), step.key | name_new_values(values))


def update_unclaimed_step(session: Session, step: RunStep, **values: Any) -> bool:
    """Update the step's row unless it has been claimed since it was read. Return whether it was updated."""
    statement = session.storage.once(StepSQL).change_unclaimed_step(*values)
    count: int = session.run(statement, bind_claim(step) | name_new_values(values)).rowcount
    return count == 1


def update_run(session: Session, run: Run, **values: Any) -> Run:
    """Update these columns of the run's row, and return the run with them."""
    session.run(session.storage.once(StepSQL).change_run(*values), run.key | name_new_values(values))
    return run._replace(**values)


def make_worker_actor(run: Run) -> Actor:
    """Return the actor of changes by workers: the service itself, with the id of the request that started the run."""
    return Actor(Principal(WORKER_SUBJECT, run.partner_id), run.request_id)


def _fail_run(session: Session, registry: Registry, tenant: Tenant, run: Run, steps: list[RunStep]) -> None:
    """Handle a step that failed permanently: stop deprovisioning where it is, undo provisioning."""
    if run.phase == DEPROVISIONING:
        _hold_back_steps(session, steps)
        if not has_active_step(load_steps(session, run)):
            _finish_run(session, run, "failed")
            logger.error(
                "the removal of tenant %s has stopped: a deprovisioning step failed permanently",
                tenant.id,
                extra={"tenant": tenant.id, "partner": tenant.partner_id, "request_id": run.request_id},
            )
        return
    _start_undoing(session, registry, tenant, run, steps, "failed")


def _hold_back_steps(session: Session, steps: list[RunStep]) -> None:
    for step in steps:
        if step.state == "waiting" and step.due_at is not None:
            update_unclaimed_step(session, step, due_at=None)


def _start_undoing(
    session: Session, registry: Registry, tenant: Tenant, run: Run, steps: list[RunStep], outcome: str
) -> Tenant:
    for step in steps:
        if step.state == "waiting":
            update_unclaimed_step(session, step, state="failed" if step.attempts else "cancelled", due_at=None)
    run = update_run(session, run, state="undoing", outcome=outcome)
    if tenant.status == "provisioning":
        failed = tenant._replace(status="failed")
        tenant = mutations.apply_transition(
            session, make_worker_actor(run), "tenant.provisioning_failed", tenant, failed
        )
    _undo_next_step(session, registry, tenant, run, load_steps(session, run))
    return tenant


def _undo_next_step(session: Session, registry: Registry, tenant: Tenant, run: Run, steps: list[RunStep]) -> None:
    """Undo the next step, last one first, unless a step is still running; finish the run if none is left."""
    if has_active_step(steps):
        return
    last = find_step_to_undo(steps, lambda name: _can_undo(registry, run.phase, name))
    if last is not None:
        make_step_due(session, last, state="undoing")
        return
    _finish_run(session, run, run.outcome or "failed")
    deprovisioning = load_run(session, run.partner_id, run.tenant_id, DEPROVISIONING)
    if run.phase == PROVISIONING and deprovisioning is not None and deprovisioning.state == "pending":
        advance_run(session, registry, tenant, update_run(session, deprovisioning, state="running"))


def _can_undo(registry: Registry, phase: str, name: str) -> bool:
    declaration = registry.find_step(phase, name)
    return declaration is not None and declaration.undo is not None


def _complete_run(session: Session, registry: Registry, tenant: Tenant, run: Run) -> None:
    _finish_run(session, run, "succeeded")
    if run.phase == DEPROVISIONING:
        mutations.remove_tenant(session, make_worker_actor(run), tenant)
    elif tenant.status == "provisioning":
        mutations.apply_transition(
            session, make_worker_actor(run), "tenant.provisioned", tenant, tenant._replace(status="active")
        )


def _finish_run(session: Session, run: Run, state: str) -> None:
    update_run(session, run, state=state, finished_at=format_instant(session.storage.clock()))


#: States of a step that may have had an effect.
_STATES_WITH_EFFECT = frozenset({"succeeded", "failed"})


def find_ready_steps(steps: Sequence[RunStep]) -> list[RunStep]:
    """Return the steps that can start now: waiting without a due time, and every step in `after` succeeded."""
    states = {step.name: step.state for step in steps}
    return [step for step in steps if step.state == "waiting" and step.due_at is None and _is_unblocked(step, states)]


def _is_unblocked(step: RunStep, states: dict[str, str]) -> bool:
    return all(states.get(name, "succeeded") == "succeeded" for name in json.loads(step.after))


def has_failed_step(steps: Sequence[RunStep]) -> bool:
    """Return whether a step has failed permanently."""
    return any(step.state == "failed" for step in steps)


def have_all_succeeded(steps: Sequence[RunStep]) -> bool:
    """Return whether every step has succeeded."""
    return all(step.state == "succeeded" for step in steps)


def has_active_step(steps: Sequence[RunStep]) -> bool:
    """Return whether a step is running or being undone."""
    return any(step.state in ("running", "undoing") for step in steps)


def find_step_to_undo(steps: Sequence[RunStep], can_undo: Callable[[str], bool]) -> RunStep | None:
    """Return the last step that may have had an effect and can be undone; a failed step may be half done."""
    candidates = (step for step in reversed(steps) if step.state in _STATES_WITH_EFFECT and step.attempts)
    return next((step for step in candidates if can_undo(step.name)), None)
