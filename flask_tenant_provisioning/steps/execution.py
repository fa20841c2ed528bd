"""Run a claimed step in the host's application context, outside of any transaction, and record its outcome."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, NamedTuple

from ..database.errors import LeaseLost
from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..errors import ProvisioningError, StorageUnavailable
from ..hooks import STEP_ARGUMENTS, NotRunError, get_requested_arguments, require_result
from ..registry import Registry, Step
from ..telemetry.base import WorkSpan
from ..telemetry.instruments import RETRIES, STEP_DURATION
from ..tenants import mutations
from ..tenants.models import Tenant, render_tenant_document
from . import claims, runs
from .claims import StepKey
from .context import StepAbandoned, StepContext, StepFailed
from .models import MAX_CLASS_LENGTH, MAX_MESSAGE_LENGTH, MAX_REASON_LENGTH, STEP_WORK, Run, RunStep
from .statements import StepSQL

#: The longest delay between two attempts, in seconds.
MAX_BACKOFF = 600.0
_JITTER = 0.2


class AttemptError(NamedTuple):
    """The error of an attempt: a message for partners, a reason for operators. A permanent one is not retried."""

    error_class: str
    message: str
    is_permanent: bool = False
    reason: str | None = None


def record_success(session: Session, registry: Registry, step: RunStep) -> str:
    """Record that the step or its undo has succeeded, and advance its run. Return ``succeeded``. Raises `LeaseLost`."""
    tenant = _lock_tenant(session, step)
    state = "undone" if step.state == "undoing" else "succeeded"
    values: dict[str, Any] = {"state": state, "due_at": None, "finished_at": format_instant(session.storage.clock())}
    if state == "undone":
        values |= {"generation": step.generation + 1, "memory": None}
    else:
        values |= {"error_class": None, "error_message": None, "error_reason": None}
    _save_outcome(session, registry, tenant, step, values)
    return "succeeded"


def record_failure(
    session: Session, registry: Registry, step: RunStep, declaration: Step | None, error: AttemptError
) -> str:
    """Record a failed attempt: schedule the next one, or fail the step if none is left.

    Return ``retried`` or ``failed``. Raises `LeaseLost`.
    """
    tenant = _lock_tenant(session, step)
    if (
        error.is_permanent
        or declaration is None
        or step.current_attempt > declaration.retries
        or _is_run_stopped(session, step)
    ):
        now = format_instant(session.storage.clock())
        final_state = "undo_failed" if step.state == "undoing" else "failed"
        values: dict[str, Any] = {"state": final_state, "due_at": None, "finished_at": now}
    else:
        next_state = "undoing" if step.state == "undoing" else "waiting"
        values = {"state": next_state, "due_at": _calculate_retry_time(session, declaration, step)}
    error_columns = {
        "error_class": error.error_class[:MAX_CLASS_LENGTH],
        "error_message": error.message[:MAX_MESSAGE_LENGTH],
        "error_reason": None if error.reason is None else error.reason[:MAX_REASON_LENGTH],
    }
    _save_outcome(session, registry, tenant, step, values | error_columns)
    return "failed" if "finished_at" in values else "retried"


def save_memory(session: Session, step: RunStep, memory: str) -> None:
    """Store the values that a running step has saved. Raises `LeaseLost`."""
    if not runs.update_unclaimed_step(session, step, memory=memory):
        raise LeaseLost(step.name)


def _lock_tenant(session: Session, step: RunStep) -> Tenant:
    """Lock the step's tenant. Raises `LeaseLost` if it is gone."""
    tenant = mutations.lock_tenant_in_any_state(session, step.partner_id, step.tenant_id)
    if tenant is None:
        raise LeaseLost(step.name)
    return tenant


def _load_run(session: Session, step: RunStep) -> Run:
    """Load the step's run. Raises `LeaseLost` if it is gone."""
    run = runs.load_run(session, step.partner_id, step.tenant_id, step.phase)
    if run is None:
        raise LeaseLost(step.name)
    return run


def _is_run_stopped(session: Session, step: RunStep) -> bool:
    """Return whether the run has stopped or is being undone, so that its steps are not retried."""
    return step.state != "undoing" and _load_run(session, step).state not in ("running", "paused")


def _calculate_retry_time(session: Session, declaration: Step, step: RunStep) -> str | None:
    """Return the time of the next attempt; None if the run is paused."""
    if _load_run(session, step).state == "paused":
        return None
    wait = min(declaration.backoff * 2 ** (step.current_attempt - 1), MAX_BACKOFF)
    return format_instant(session.storage.clock() + wait * random.uniform(1 - _JITTER, 1 + _JITTER))


def _save_outcome(session: Session, registry: Registry, tenant: Tenant, step: RunStep, values: dict[str, Any]) -> None:
    """Save the outcome of the step and advance its run. Raises `LeaseLost` if another worker has claimed the step.

    The fence is incremented too, so that a late renewal of this lease cannot delay the next attempt.
    """
    if not runs.update_unclaimed_step(session, step, **values, fence=step.fence + 1):
        raise LeaseLost(step.name)
    runs.advance_run(session, registry, tenant, _load_run(session, step))


logger = logging.getLogger(__name__)
#: The label of steps that the application does not declare (any more).
UNDECLARED = "undeclared"
_HIDDEN_REASON = "The step failed; the operator's log says why."
_TIMED_OUT = AttemptError("TimeoutError", "The step exceeded its timeout.")
_PAUSED = AttemptError("Paused", "The step continues when its tenant is restored.")
_CANCELLED = AttemptError(
    "Cancelled", "The step was not retried, because provisioning is being undone.", is_permanent=True
)
_NO_SUCH_STEP = AttemptError("LookupError", "The application does not declare a step of this name.")


class StepWork:
    """The steps of one mount, as a kind of work that a worker claims, runs and expires."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        in_host: Callable[[], AbstractContextManager[Any]],
        *,
        lease: float,
        slots: int,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._in_host = in_host
        self.lease, self.slots = lease, slots

    def claim(self, limit: int, keys: Sequence[StepKey] | None = None) -> list[RunStep]:
        """Claim at most `limit` due steps; if `keys` are given, only steps with these keys."""
        return claims.claim_steps(self._storage, limit, self.lease, keys)

    def renew(self, steps: Iterable[RunStep]) -> None:
        """Renew the leases of running steps."""
        lease = self._storage.once(StepSQL).lease
        self._storage.transaction(partial(lease.renew, claims=steps, seconds=self.lease))

    def timeout(self, step: RunStep) -> float:
        """Return the timeout of the step, in seconds."""
        declaration = self._find_step(step)
        return declaration.timeout if declaration else 60.0

    def run(self, step: RunStep) -> None:
        """Make one attempt and record its outcome."""
        declaration, telemetry = self._find_step(step), self._storage.telemetry
        labels = _make_labels(step, declaration)
        if step.current_attempt > 1:
            telemetry.count(RETRIES, 1, {"kind": STEP_WORK})
        with telemetry.measure(STEP_DURATION, labels, _describe_span(step, labels["step"])) as piece:
            piece.outcome = self._run_attempt(step, declaration)

    def _run_attempt(self, step: RunStep, declaration: Step | None) -> str:
        """Make one attempt and record its outcome. Return the outcome as `STEP_DURATION` names it."""
        error = _NO_SUCH_STEP if declaration is None else self._call_function(step, declaration)
        if error is not None:
            return self._record_failure(step, declaration, error)
        outcome = self._record_success(step)
        return outcome if isinstance(outcome, str) else self._record_failure(step, declaration, outcome)

    def expire(self, step: RunStep) -> None:
        """Abandon an attempt that exceeds its timeout; it is recorded as failed and retried."""
        logger.warning(
            "%s exceeded its timeout and is abandoned", _describe_attempt(step), extra=_make_log_fields(step)
        )
        declaration = self._find_step(step)
        outcome = self._record_failure(step, declaration, _TIMED_OUT)
        labels = {**_make_labels(step, declaration), "outcome": outcome}
        self._storage.telemetry.record(STEP_DURATION, self.timeout(step), labels)

    def stop(self) -> None:
        """Do nothing: a running step cannot be interrupted."""

    def _call_function(self, step: RunStep, declaration: Step) -> AttemptError | None:
        """Call the host's function and return the error, if any.

        The function is not called if the worker died during the last allowed attempt.
        """
        is_undo = step.state == "undoing"
        if step.current_attempt > declaration.retries + 1:
            return AttemptError("WorkerLost", "The worker died during the last attempt.")
        function = declaration.undo if is_undo else declaration.function
        if function is None:
            return None
        try:
            run, arguments = self._storage.read(partial(self._make_arguments, step=step))
            if not is_undo and run.state != "running":
                return _PAUSED if run.state == "paused" else _CANCELLED
            with self._in_host():
                names = get_requested_arguments(function, STEP_ARGUMENTS, "step")
                result = function(**{name: arguments[name] for name in names})
                require_result(result, f"The {'undo of ' if is_undo else ''}step {declaration.name!r}")
        except Exception as error:
            return _make_attempt_error(step, error)
        return None

    def _make_arguments(self, session: Session, step: RunStep) -> tuple[Run, dict[str, Any]]:
        """Load the run and the arguments of the host's function. Raises `LeaseLost` if the run is gone."""
        tenant = mutations.load_tenant_in_any_state(session, step.partner_id, step.tenant_id)
        run = runs.load_run(session, step.partner_id, step.tenant_id, step.phase)
        if run is None:
            raise LeaseLost(step.name)
        context = StepContext(step, runs.load_steps(session, run), partial(self._save_memory, step))
        document = render_tenant_document(tenant, session.storage.registry.fields)
        return run, {"tenant": {**document, "status": _make_public_status(tenant.status)}, "context": context}

    def _save_memory(self, step: RunStep, memory: str) -> None:
        try:
            self._storage.transaction(partial(save_memory, step=step, memory=memory))
        except LeaseLost as error:
            raise StepAbandoned(f"{_describe_attempt(step)} has taken too long") from error

    def _record_success(self, step: RunStep) -> str | AttemptError:
        """Record the success. Return the outcome, or the error if a hook of the host refuses what follows."""
        try:
            return self._record(step, partial(record_success, registry=self._registry, step=step))
        except Exception as error:
            return _make_attempt_error(step, error)

    def _record_failure(self, step: RunStep, declaration: Step | None, error: AttemptError) -> str:
        record = partial(record_failure, registry=self._registry, step=step, declaration=declaration, error=error)
        return self._record(step, record)

    def _record(self, step: RunStep, record: Callable[[Session], str]) -> str:
        """Run `record` in a transaction and return the outcome. If that fails, the lease expires and the step runs
        again.
        """
        try:
            return self._storage.transaction(record)
        except LeaseLost:
            logger.info(
                "%s lost its lease to another worker; its outcome is discarded",
                _describe_attempt(step),
                extra=_make_log_fields(step),
            )
            return "lost"
        except StorageUnavailable:
            logger.error(
                "the outcome of %s could not be saved: the database is unavailable",
                _describe_attempt(step),
                extra=_make_log_fields(step),
            )
            return "retried"

    def _find_step(self, step: RunStep) -> Step | None:
        return self._registry.find_step(step.phase, step.name)


def _make_attempt_error(step: RunStep, error: Exception) -> AttemptError:
    """Log an exception, and return the error of the attempt: partners see only messages written for them."""
    logger.warning("%s failed", _describe_attempt(step), exc_info=error, extra=_make_log_fields(step))
    return describe_exception(error, _HIDDEN_REASON)


def describe_exception(error: Exception, hidden_reason: str) -> AttemptError:
    """Return the error of an attempt that raised `error`.

    Partners see only messages written for them, and `hidden_reason` instead of any other.
    """
    error_class = type(error).__name__
    if isinstance(error, StepFailed):
        return AttemptError(error_class, error.message, is_permanent=not error.retry)
    if isinstance(error, NotRunError):
        return AttemptError(error_class, str(error), is_permanent=True)
    if isinstance(error, ProvisioningError):
        return AttemptError(error_class, error.detail)
    reason = str(error).replace("\0", "\ufffd").encode(errors="replace").decode()
    return AttemptError(error_class, hidden_reason, reason=reason or None)


def _describe_attempt(step: RunStep) -> str:
    subject = "the undo of step" if step.state == "undoing" else "step"
    return f"{subject} {step.name} of tenant {step.tenant_id}, attempt {step.current_attempt}"


def _make_log_fields(step: RunStep) -> dict[str, Any]:
    """Return the log fields of an attempt."""
    return {
        "partner": step.partner_id,
        "tenant": step.tenant_id,
        "step": step.name,
        "phase": step.phase,
        "undoing": step.state == "undoing",
        "attempt": step.current_attempt,
    }


def _make_labels(step: RunStep, declaration: Step | None) -> dict[str, str]:
    """Return the labels of an attempt. A step that the application does not declare is not named."""
    name = UNDECLARED if declaration is None else declaration.name
    return {"step": f"undo {name}" if step.state == "undoing" else name, "phase": step.phase}


def _describe_span(step: RunStep, label: str) -> WorkSpan:
    attributes: dict[str, str | int] = {
        "provisioning.partner": step.partner_id,
        "provisioning.tenant": step.tenant_id,
        "provisioning.phase": step.phase,
        "provisioning.attempt": step.current_attempt,
    }
    return WorkSpan(label if label.startswith("undo ") else f"step {label}", "consumer", step.traceparent, attributes)


def _make_public_status(status: str) -> str:
    return "deleted" if status == "purging" else status
