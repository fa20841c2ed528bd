"""What became of a claimed step: it succeeded, failed and is tried again, or gave up."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from ..database import Session, instant
from ..hooks import Hooks, Step
from ..tenants import changes
from ..tenants.models import Tenant
from . import runs
from .claims import key_of
from .models import LONGEST_CLASS, LONGEST_MESSAGE, LONGEST_REASON, Run, Stage
from .statements import StepSQL

#: The longest time between two attempts, in seconds.
LONGEST_BACKOFF = 600.0
_JITTER = 0.2


class Superseded(Exception):
    """Somebody else has claimed the step meanwhile, or its tenant is gone: whatever this one does no longer counts."""


class Error(NamedTuple):
    """Why an attempt failed: a message for partners and a reason for operators. A `lasting` one is not tried again."""

    kind: str
    message: str
    lasting: bool = False
    reason: str | None = None


def succeeded(session: Session, hooks: Hooks, stage: Stage) -> None:
    """The step, or its undo, has taken effect. Raises `Superseded`."""
    tenant = _held(session, stage)
    state = "undone" if stage.state == "undoing" else "succeeded"
    values: dict[str, Any] = {"state": state, "due_at": None, "finished_at": instant(session.storage.clock())}
    if state == "undone":
        values |= {"generation": stage.generation + 1, "memory": None}
    else:
        values |= {"error_class": None, "error_message": None, "error_reason": None}
    _settle(session, hooks, tenant, stage, values)


def failed(session: Session, hooks: Hooks, stage: Stage, step: Step | None, error: Error) -> None:
    """The attempt has failed: it is made again later, unless none is left. Raises `Superseded`."""
    tenant = _held(session, stage)
    if error.lasting or step is None or _attempts(stage) > step.retries or _is_over(session, stage):
        now = instant(session.storage.clock())
        gone = "undo_failed" if stage.state == "undoing" else "failed"
        values: dict[str, Any] = {"state": gone, "due_at": None, "finished_at": now}
    else:
        again = "undoing" if stage.state == "undoing" else "waiting"
        values = {"state": again, "due_at": _again(session, step, stage)}
    said = {
        "error_class": error.kind[:LONGEST_CLASS],
        "error_message": error.message[:LONGEST_MESSAGE],
        "error_reason": None if error.reason is None else error.reason[:LONGEST_REASON],
    }
    _settle(session, hooks, tenant, stage, values | said)


def remember(session: Session, stage: Stage, memory: str) -> None:
    """Keep what a step that is at work wants to know later. Raises `Superseded`."""
    values = {**key_of(stage), "fence": stage.fence, "new_memory": memory}
    if session.run(session.storage.once(StepSQL).remember, values).rowcount != 1:
        raise Superseded(stage.name)


def _held(session: Session, stage: Stage) -> Tenant:
    """The step's tenant, which nobody else moves meanwhile. Raises `Superseded` where it is gone."""
    tenant = changes.held(session, stage.partner_id, stage.tenant_id)
    if tenant is None:
        raise Superseded(stage.name)
    return tenant


def _run_of(session: Session, stage: Stage) -> Run:
    """The step's run. Raises `Superseded` where it is gone."""
    run = runs.read(session, stage.partner_id, stage.tenant_id, stage.phase)
    if run is None:
        raise Superseded(stage.name)
    return run


def _attempts(stage: Stage) -> int:
    return stage.undo_attempts if stage.state == "undoing" else stage.attempts


def _is_over(session: Session, stage: Stage) -> bool:
    """Whether nothing is tried again, since all is being taken back or has stopped."""
    return stage.state != "undoing" and _run_of(session, stage).state not in ("running", "paused")


def _again(session: Session, step: Step, stage: Stage) -> str | None:
    """When the next attempt is made; None where that waits for the run to go on."""
    if _run_of(session, stage).state == "paused":
        return None
    wait = min(step.backoff * 2 ** (_attempts(stage) - 1), LONGEST_BACKOFF)
    return instant(session.storage.clock() + wait * random.uniform(1 - _JITTER, 1 + _JITTER))


def _settle(session: Session, hooks: Hooks, tenant: Tenant, stage: Stage, values: dict[str, Any]) -> None:
    """Write what became of the step, unless somebody else has claimed it, and move its run on.

    Its fence moves on too: a renewal of the claim that comes late must not put off what is due next.
    """
    if not runs.settle(session, stage, **values, fence=stage.fence + 1):
        raise Superseded(stage.name)
    runs.advance(session, hooks, tenant, _run_of(session, stage))
