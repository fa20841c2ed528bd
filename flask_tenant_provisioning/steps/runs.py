"""A tenant's way through its steps, one transaction at a time.

Whoever moves a run holds the tenant's row: two steps that end together see each other, and so does a deletion.
"""

from __future__ import annotations

import json
import logging
from typing import Any

from ..access import Actor, Principal
from ..database import Session, instant, renewal
from ..hooks import DEPROVISIONING, PROVISIONING, Hooks, Step
from ..tenants import changes
from ..tenants.models import Tenant
from . import progress
from .models import Run, Stage
from .statements import KEY, StepSQL

logger = logging.getLogger(__name__)

WORKER = "provisioning-worker"


def begin(session: Session, hooks: Hooks, actor: Actor, tenant: Tenant, phase: str, state: str = "running") -> None:
    """Plan the steps of `phase` for a tenant; those that come after no other are due at once."""
    sql, at = session.storage.once(StepSQL), instant(session.storage.clock())
    run = Run(tenant.partner_id, tenant.id, phase, state, None, 1, actor.request_id, at, None)
    session.run(sql.add_run, run._asdict())
    for position, step in enumerate(hooks.steps(phase)):
        session.run(sql.add_step, planned(run, step, position)._asdict())
    if state == "running":
        advance(session, hooks, tenant, run)


def planned(run: Run, step: Step, position: int) -> Stage:
    """The row of a step that has not begun."""
    return Stage(
        partner_id=run.partner_id,
        tenant_id=run.tenant_id,
        phase=run.phase,
        name=step.name,
        position=position,
        after=json.dumps(step.after),
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
    )


def read(session: Session, partner: str, tenant_id: str, phase: str) -> Run | None:
    """The run of `phase`, None where there was none."""
    where = {"partner_id": partner, "tenant_id": tenant_id, "phase": phase}
    row = session.run(session.storage.once(StepSQL).run, where).fetchone()
    return Run._make(row) if row else None


def stages_of(session: Session, run: Run) -> list[Stage]:
    """The steps of a run, in their order."""
    where = {"partner_id": run.partner_id, "tenant_id": run.tenant_id, "phase": run.phase}
    return [Stage._make(row) for row in session.run(session.storage.once(StepSQL).stages, where).fetchall()]


def advance(session: Session, hooks: Hooks, tenant: Tenant, run: Run) -> None:
    """Bring a run as far as its steps allow; the caller holds the tenant."""
    stages = stages_of(session, run)
    if run.state == "running" and progress.has_failed(stages):
        _give_up(session, hooks, tenant, run, stages)
    elif run.state == "running" and progress.is_done(stages):
        _complete(session, hooks, tenant, run)
    elif run.state == "running":
        for stage in progress.ready(stages):
            make_due(session, stage)
    elif run.state == "undoing":
        _take_back(session, hooks, tenant, run, stages)


def cancel(session: Session, hooks: Hooks, tenant: Tenant, run: Run) -> Tenant:
    """Begin nothing more, and take back what was done once nobody is at work; returns the tenant, which has failed."""
    return _abandon(session, hooks, tenant, run, stages_of(session, run), "cancelled")


def pause(session: Session, run: Run) -> None:
    """Begin nothing more for now; what is being done ends as it may."""
    _hold_back(session, stages_of(session, run))
    change_run(session, run, state="paused")


def resume(session: Session, hooks: Hooks, tenant: Tenant, run: Run) -> None:
    """Go on where it was paused."""
    advance(session, hooks, tenant, change_run(session, run, state="running"))


def make_due(session: Session, stage: Stage, *, state: str | None = None) -> None:
    """Let somebody turn to the step now."""
    values: dict[str, Any] = {"due_at": instant(session.storage.clock())}
    if state is not None:
        values |= {"state": state, "undo_attempts": 0}
    change(session, stage, **values)
    session.wake((stage.partner_id, stage.tenant_id, stage.phase, stage.name))


def change(session: Session, stage: Stage, **values: Any) -> None:
    """Give the step's row these values."""
    where = dict(zip(KEY, stage, strict=False))
    session.run(session.storage.once(StepSQL).change_step(*values), where | renewal(values))


def settle(session: Session, stage: Stage, **values: Any) -> bool:
    """The same, unless somebody has claimed the step since it was read; whether it was so."""
    where = {**dict(zip(KEY, stage, strict=False)), "fence": stage.fence}
    found: int = session.run(session.storage.once(StepSQL).settle(*values), where | renewal(values)).rowcount
    return found == 1


def change_run(session: Session, run: Run, **values: Any) -> Run:
    """Give the run's row these values."""
    where = {"partner_id": run.partner_id, "tenant_id": run.tenant_id, "phase": run.phase}
    session.run(session.storage.once(StepSQL).change_run(*values), where | renewal(values))
    return run._replace(**values)


def worker(run: Run) -> Actor:
    """Who moves the run on: the service itself, in consequence of the request that began it."""
    return Actor(Principal(WORKER, run.partner_id), run.request_id)


def _give_up(session: Session, hooks: Hooks, tenant: Tenant, run: Run, stages: list[Stage]) -> None:
    """A step has failed for good. What deprovisions stops where it is; what provisions is taken back."""
    if run.phase == DEPROVISIONING:
        _hold_back(session, stages)
        if not progress.is_busy(stages_of(session, run)):
            _end(session, run, "failed")
            logger.error(
                "the removal of tenant %s has stopped: a step of its deprovisioning gave up",
                tenant.id,
                extra={"tenant": tenant.id, "partner": tenant.partner_id, "request_id": run.request_id},
            )
        return
    _abandon(session, hooks, tenant, run, stages, "failed")


def _hold_back(session: Session, stages: list[Stage]) -> None:
    for stage in stages:
        if stage.state == "waiting" and stage.due_at is not None:
            settle(session, stage, due_at=None)


def _abandon(session: Session, hooks: Hooks, tenant: Tenant, run: Run, stages: list[Stage], outcome: str) -> Tenant:
    for stage in stages:
        if stage.state == "waiting":
            settle(session, stage, state="failed" if stage.attempts else "cancelled", due_at=None)
    run = change_run(session, run, state="undoing", outcome=outcome)
    if tenant.status == "provisioning":
        failed = tenant._replace(status="failed")
        tenant = changes.apply(session, worker(run), "tenant.provisioning_failed", tenant, failed)
    _take_back(session, hooks, tenant, run, stages_of(session, run))
    return tenant


def _take_back(session: Session, hooks: Hooks, tenant: Tenant, run: Run, stages: list[Stage]) -> None:
    """Undo one step after the other, the last one first; steps that are at work are waited for."""
    if progress.is_busy(stages):
        return
    last = progress.next_to_undo(stages, lambda name: _can_undo(hooks, run.phase, name))
    if last is not None:
        make_due(session, last, state="undoing")
        return
    _end(session, run, run.outcome or "failed")
    following = read(session, run.partner_id, run.tenant_id, DEPROVISIONING)
    if run.phase == PROVISIONING and following is not None and following.state == "pending":
        advance(session, hooks, tenant, change_run(session, following, state="running"))


def _can_undo(hooks: Hooks, phase: str, name: str) -> bool:
    step = hooks.step(phase, name)
    return step is not None and step.undo is not None


def _complete(session: Session, hooks: Hooks, tenant: Tenant, run: Run) -> None:
    _end(session, run, "succeeded")
    if run.phase == DEPROVISIONING:
        changes.remove(session, worker(run), tenant)
    elif tenant.status == "provisioning":
        changes.apply(session, worker(run), "tenant.provisioned", tenant, tenant._replace(status="active"))


def _end(session: Session, run: Run, state: str) -> None:
    change_run(session, run, state=state, finished_at=instant(session.storage.clock()))
