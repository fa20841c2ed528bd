"""Run a claimed step in the host's application context, outside of any transaction, and record its outcome."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..errors import ProvisioningError, StorageUnavailable
from ..hooks import STEP_ARGUMENTS, NotRunError, get_requested_arguments, require_result
from ..registry import Registry, Step
from ..tenants import mutations
from ..tenants.models import Tenant
from . import claims, runs
from .claims import StepKey, key_columns
from .context import StepAbandoned, StepContext, StepFailed
from .models import MAX_CLASS_LENGTH, MAX_MESSAGE_LENGTH, MAX_REASON_LENGTH, Run, RunStep
from .statements import StepSQL

#: The longest delay between two attempts, in seconds.
MAX_BACKOFF = 600.0
_JITTER = 0.2


class LeaseLost(Exception):
    """The step has been claimed by another worker, or its tenant is gone; this attempt has no effect."""


class AttemptError(NamedTuple):
    """The error of an attempt: a message for partners, a reason for operators. A permanent one is not retried."""

    kind: str
    message: str
    lasting: bool = False
    reason: str | None = None


def record_success(session: Session, hooks: Registry, stage: RunStep) -> None:
    """Record that the step or its undo has succeeded, and advance its run. Raises `LeaseLost`."""
    tenant = _lock_tenant(session, stage)
    state = "undone" if stage.state == "undoing" else "succeeded"
    values: dict[str, Any] = {"state": state, "due_at": None, "finished_at": format_instant(session.storage.clock())}
    if state == "undone":
        values |= {"generation": stage.generation + 1, "memory": None}
    else:
        values |= {"error_class": None, "error_message": None, "error_reason": None}
    _save_outcome(session, hooks, tenant, stage, values)


def record_failure(session: Session, hooks: Registry, stage: RunStep, step: Step | None, error: AttemptError) -> None:
    """Record a failed attempt: schedule the next one, or fail the step if none is left. Raises `LeaseLost`."""
    tenant = _lock_tenant(session, stage)
    if error.lasting or step is None or _count_attempts(stage) > step.retries or _is_run_stopped(session, stage):
        now = format_instant(session.storage.clock())
        gone = "undo_failed" if stage.state == "undoing" else "failed"
        values: dict[str, Any] = {"state": gone, "due_at": None, "finished_at": now}
    else:
        again = "undoing" if stage.state == "undoing" else "waiting"
        values = {"state": again, "due_at": _calculate_retry_time(session, step, stage)}
    said = {
        "error_class": error.kind[:MAX_CLASS_LENGTH],
        "error_message": error.message[:MAX_MESSAGE_LENGTH],
        "error_reason": None if error.reason is None else error.reason[:MAX_REASON_LENGTH],
    }
    _save_outcome(session, hooks, tenant, stage, values | said)


def save_memory(session: Session, stage: RunStep, memory: str) -> None:
    """Store the values that a running step has saved. Raises `LeaseLost`."""
    values = {**key_columns(stage), "fence": stage.fence, "new_memory": memory}
    if session.run(session.storage.once(StepSQL).remember, values).rowcount != 1:
        raise LeaseLost(stage.name)


def _lock_tenant(session: Session, stage: RunStep) -> Tenant:
    """Lock the step's tenant. Raises `LeaseLost` if it is gone."""
    tenant = mutations.lock_tenant_in_any_state(session, stage.partner_id, stage.tenant_id)
    if tenant is None:
        raise LeaseLost(stage.name)
    return tenant


def _load_run(session: Session, stage: RunStep) -> Run:
    """Load the step's run. Raises `LeaseLost` if it is gone."""
    run = runs.load_run(session, stage.partner_id, stage.tenant_id, stage.phase)
    if run is None:
        raise LeaseLost(stage.name)
    return run


def _count_attempts(stage: RunStep) -> int:
    return stage.undo_attempts if stage.state == "undoing" else stage.attempts


def _is_run_stopped(session: Session, stage: RunStep) -> bool:
    """Return whether the run has stopped or is being undone, so that its steps are not retried."""
    return stage.state != "undoing" and _load_run(session, stage).state not in ("running", "paused")


def _calculate_retry_time(session: Session, step: Step, stage: RunStep) -> str | None:
    """Return the time of the next attempt; None if the run is paused."""
    if _load_run(session, stage).state == "paused":
        return None
    wait = min(step.backoff * 2 ** (_count_attempts(stage) - 1), MAX_BACKOFF)
    return format_instant(session.storage.clock() + wait * random.uniform(1 - _JITTER, 1 + _JITTER))


def _save_outcome(session: Session, hooks: Registry, tenant: Tenant, stage: RunStep, values: dict[str, Any]) -> None:
    """Save the outcome of the step and advance its run. Raises `LeaseLost` if another worker has claimed the step.

    The fence is incremented too, so that a late renewal of this lease cannot delay the next attempt.
    """
    if not runs.update_unclaimed_step(session, stage, **values, fence=stage.fence + 1):
        raise LeaseLost(stage.name)
    runs.advance_run(session, hooks, tenant, _load_run(session, stage))


logger = logging.getLogger(__name__)
_HIDDEN_REASON = "The step failed; the operator's log says why."
_TIMED_OUT = AttemptError("TimeoutError", "The step exceeded its timeout.")
_PAUSED = AttemptError("Paused", "The step continues when its tenant is restored.")
_CANCELLED = AttemptError("Cancelled", "The step was not retried, because provisioning is being undone.", lasting=True)
_NO_SUCH_STEP = AttemptError("LookupError", "The application does not declare a step of this name.")


class StepWork:
    """The steps of one mount, as a kind of work that a worker claims, runs and expires."""

    def __init__(
        self,
        storage: Storage,
        hooks: Registry,
        in_host: Callable[[], AbstractContextManager[Any]],
        *,
        lease: float,
        slots: int,
    ) -> None:
        self._storage = storage
        self._hooks = hooks
        self._in_host = in_host
        self.lease, self.slots = lease, slots

    def claim(self, limit: int, among: Sequence[StepKey] | None = None) -> list[RunStep]:
        """Claim at most `limit` due steps, of those in `among` if it is given."""
        return claims.claim_steps(self._storage, limit, self.lease, among)

    def renew(self, stages: Iterable[RunStep]) -> None:
        """Renew the leases of running steps."""
        claims.renew_leases(self._storage, stages, self.lease)

    def timeout(self, stage: RunStep) -> float:
        """Return the timeout of the step, in seconds."""
        step = self._step(stage)
        return step.timeout if step else 60.0

    def run(self, stage: RunStep) -> None:
        """Make one attempt and record its outcome."""
        step = self._step(stage)
        error = _NO_SUCH_STEP if step is None else self._attempted(stage, step)
        if error is None:
            error = self._succeeded(stage)
        if error is not None:
            self._failed(stage, step, error)

    def expire(self, stage: RunStep) -> None:
        """Abandon an attempt that exceeds its timeout; it is recorded as failed and retried."""
        logger.warning(
            "%s exceeded its timeout and is abandoned", _describe_attempt(stage), extra=_make_log_fields(stage)
        )
        self._failed(stage, self._step(stage), _TIMED_OUT)

    def stop(self) -> None:
        """Do nothing: a running step cannot be interrupted."""

    def _attempted(self, stage: RunStep, step: Step) -> AttemptError | None:
        """Call the host's function and return the error, if any.

        The function is not called if the worker died during the last allowed attempt.
        """
        undoing = stage.state == "undoing"
        if (stage.undo_attempts if undoing else stage.attempts) > step.retries + 1:
            return AttemptError("WorkerLost", "The worker died during the last attempt.")
        function = step.undo if undoing else step.function
        if function is None:
            return None
        try:
            run, offered = self._storage.read(partial(self._make_arguments, stage=stage))
            if not undoing and run.state != "running":
                return _PAUSED if run.state == "paused" else _CANCELLED
            with self._in_host():
                done = function(
                    **{name: offered[name] for name in get_requested_arguments(function, STEP_ARGUMENTS, "step")}
                )
                require_result(done, f"The {'undo of ' if undoing else ''}step {step.name!r}")
        except Exception as error:
            return _make_attempt_error(stage, error)
        return None

    def _make_arguments(self, session: Session, stage: RunStep) -> tuple[Run, dict[str, Any]]:
        """Load the run and the arguments of the host's function. Raises `LeaseLost` if the run is gone."""
        tenant = mutations.load_tenant_in_any_state(session, stage.partner_id, stage.tenant_id)
        run = runs.load_run(session, stage.partner_id, stage.tenant_id, stage.phase)
        if run is None:
            raise LeaseLost(stage.name)
        context = StepContext(stage, runs.load_steps(session, run), partial(self._remember, stage))
        document = tenant.document(session.storage.hooks.fields)
        return run, {"tenant": {**document, "status": _make_public_status(tenant.status)}, "context": context}

    def _remember(self, stage: RunStep, memory: str) -> None:
        try:
            self._storage.transaction(partial(save_memory, stage=stage, memory=memory))
        except LeaseLost as error:
            raise StepAbandoned(f"{_describe_attempt(stage)} has taken too long") from error

    def _succeeded(self, stage: RunStep) -> AttemptError | None:
        """Record the success; return the error if a hook of the host refuses the transition that follows."""
        try:
            self._settle(stage, lambda session: record_success(session, self._hooks, stage))
        except Exception as error:
            return _make_attempt_error(stage, error)
        return None

    def _failed(self, stage: RunStep, step: Step | None, error: AttemptError) -> None:
        self._settle(stage, lambda session: record_failure(session, self._hooks, stage, step, error))

    def _settle(self, stage: RunStep, outcome: Callable[[Session], None]) -> None:
        """Run `record` in a transaction. If that fails, the lease expires and the step runs again."""
        try:
            self._storage.transaction(outcome)
        except LeaseLost:
            logger.info(
                "%s lost its lease to another worker; its outcome is discarded",
                _describe_attempt(stage),
                extra=_make_log_fields(stage),
            )
        except StorageUnavailable:
            logger.error(
                "the outcome of %s could not be saved: the database is unavailable",
                _describe_attempt(stage),
                extra=_make_log_fields(stage),
            )

    def _step(self, stage: RunStep) -> Step | None:
        return self._hooks.step(stage.phase, stage.name)


def _make_attempt_error(stage: RunStep, error: Exception) -> AttemptError:
    """Log an exception, and return the error of the attempt: partners see only messages written for them."""
    logger.warning("%s failed", _describe_attempt(stage), exc_info=error, extra=_make_log_fields(stage))
    kind = type(error).__name__
    if isinstance(error, StepFailed):
        return AttemptError(kind, error.message, lasting=not error.retry)
    if isinstance(error, NotRunError):
        return AttemptError(kind, str(error), lasting=True)
    if isinstance(error, ProvisioningError):
        return AttemptError(kind, error.detail)
    reason = str(error).replace("\0", "\ufffd").encode(errors="replace").decode()
    return AttemptError(kind, _HIDDEN_REASON, reason=reason or None)


def _describe_attempt(stage: RunStep) -> str:
    what = "the undo of step" if stage.state == "undoing" else "step"
    return f"{what} {stage.name} of tenant {stage.tenant_id}, attempt {stage.undo_attempts or stage.attempts}"


def _make_log_fields(stage: RunStep) -> dict[str, Any]:
    """Return the log fields of an attempt."""
    return {
        "partner": stage.partner_id,
        "tenant": stage.tenant_id,
        "step": stage.name,
        "phase": stage.phase,
        "undoing": stage.state == "undoing",
        "attempt": stage.undo_attempts or stage.attempts,
    }


def _make_public_status(status: str) -> str:
    return "deleted" if status == "purging" else status
