"""Run a claimed step: the host's function, in the host's application context, outside of any transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ..callables import NotRun, require_done
from ..database import Session, Storage
from ..hooks import OFFERED_TO_STEPS, Hooks, Step, wanted
from ..problems import ProvisioningError, StorageUnavailable
from ..tenants import changes
from . import claims, outcomes, runs
from .claims import Key
from .context import StepContext
from .failures import StepAbandoned, StepFailed
from .models import Run, Stage
from .outcomes import Error, Superseded

logger = logging.getLogger(__name__)

_UNSAID = "The step failed; the operator's log says why."
_TIMED_OUT = Error("TimeoutError", "The step took longer than it may.")
_PAUSED = Error("Paused", "The step goes on when its tenant is restored.")
_CANCELLED = Error("Cancelled", "The step was not tried again: all is being taken back.", lasting=True)
_UNKNOWN = Error("LookupError", "The application has no step of this name at present.")


class StepWork:
    """The steps of one mount, as work that an engine claims, runs and gives up."""

    def __init__(
        self,
        storage: Storage,
        hooks: Hooks,
        in_host: Callable[[], AbstractContextManager[Any]],
        *,
        lease: float,
        slots: int,
    ) -> None:
        self._storage = storage
        self._hooks = hooks
        self._in_host = in_host
        self.lease, self.slots = lease, slots

    def claim(self, limit: int, among: Sequence[Key] | None = None) -> list[Stage]:
        """Claim at most `limit` steps that are due, of `among` where that is given."""
        return claims.claim(self._storage, limit, self.lease, among)

    def renew(self, stages: Iterable[Stage]) -> None:
        """Keep the claims of steps that are at work."""
        claims.renew(self._storage, stages, self.lease)

    def timeout(self, stage: Stage) -> float:
        """How long the step may take, in seconds."""
        step = self._step(stage)
        return step.timeout if step else 60.0

    def run(self, stage: Stage) -> None:
        """Make one attempt, and write down what became of it."""
        step = self._step(stage)
        error = _UNKNOWN if step is None else self._attempted(stage, step)
        if error is None:
            error = self._succeeded(stage)
        if error is not None:
            self._failed(stage, step, error)

    def expire(self, stage: Stage) -> None:
        """Give up an attempt that takes too long; it is made again."""
        logger.warning("%s is abandoned: it takes too long", _named(stage), extra=_fields(stage))
        self._failed(stage, self._step(stage), _TIMED_OUT)

    def stop(self) -> None:
        """Nothing: a step that runs ends when it has ended."""

    def _attempted(self, stage: Stage, step: Step) -> Error | None:
        """Call the host's function, unless the last attempt was the last one and its worker died; what went wrong."""
        undoing = stage.state == "undoing"
        if (stage.undo_attempts if undoing else stage.attempts) > step.retries + 1:
            return Error("WorkerLost", "The worker died during the last attempt.")
        function = step.undo if undoing else step.function
        if function is None:
            return None
        try:
            run, offered = self._storage.read(partial(self._offered, stage=stage))
            if not undoing and run.state != "running":
                return _PAUSED if run.state == "paused" else _CANCELLED
            with self._in_host():
                done = function(**{name: offered[name] for name in wanted(function, OFFERED_TO_STEPS, "step")})
                require_done(done, f"The {'undo of ' if undoing else ''}step {step.name!r}")
        except Exception as error:
            return _told(stage, error)
        return None

    def _offered(self, session: Session, stage: Stage) -> tuple[Run, dict[str, Any]]:
        """The run, the tenant as it is now, and this attempt's context. Raises `Superseded` where they are gone."""
        tenant = changes.whereabouts(session, stage.partner_id, stage.tenant_id)
        run = runs.read(session, stage.partner_id, stage.tenant_id, stage.phase)
        if run is None:
            raise Superseded(stage.name)
        context = StepContext(stage, runs.stages_of(session, run), partial(self._remember, stage))
        document = tenant.document(session.storage.hooks.fields)
        return run, {"tenant": {**document, "status": _shown(tenant.status)}, "context": context}

    def _remember(self, stage: Stage, memory: str) -> None:
        try:
            self._storage.transaction(partial(outcomes.remember, stage=stage, memory=memory))
        except Superseded as error:
            raise StepAbandoned(f"{_named(stage)} has taken too long") from error

    def _succeeded(self, stage: Stage) -> Error | None:
        """Write the success down; why not, where a hook of the host's refuses what the last step leads to."""
        try:
            self._settle(stage, lambda session: outcomes.succeeded(session, self._hooks, stage))
        except Exception as error:
            return _told(stage, error)
        return None

    def _failed(self, stage: Stage, step: Step | None, error: Error) -> None:
        self._settle(stage, lambda session: outcomes.failed(session, self._hooks, stage, step, error))

    def _settle(self, stage: Stage, outcome: Callable[[Session], None]) -> None:
        """Write `outcome` down. Where that cannot be, the claim ends by itself and the step is done again."""
        try:
            self._storage.transaction(outcome)
        except Superseded:
            logger.info("%s was done by another worker in the meantime", _named(stage), extra=_fields(stage))
        except StorageUnavailable:
            logger.error(
                "%s is not known to have ended: the database does not answer", _named(stage), extra=_fields(stage)
            )

    def _step(self, stage: Stage) -> Step | None:
        return self._hooks.step(stage.phase, stage.name)


def _told(stage: Stage, error: Exception) -> Error:
    """What partners may read of an exception: only what was written for them."""
    logger.warning("%s failed", _named(stage), exc_info=error, extra=_fields(stage))
    kind = type(error).__name__
    if isinstance(error, StepFailed):
        return Error(kind, error.message, lasting=not error.retry)
    if isinstance(error, NotRun):
        return Error(kind, str(error), lasting=True)
    if isinstance(error, ProvisioningError):
        return Error(kind, error.detail)
    reason = str(error).replace("\0", "\ufffd").encode(errors="replace").decode()
    return Error(kind, _UNSAID, reason=reason or None)


def _named(stage: Stage) -> str:
    what = "the undo of step" if stage.state == "undoing" else "step"
    return f"{what} {stage.name} of tenant {stage.tenant_id}, attempt {stage.undo_attempts or stage.attempts}"


def _fields(stage: Stage) -> dict[str, Any]:
    """Return what the log says of an attempt."""
    return {
        "partner": stage.partner_id,
        "tenant": stage.tenant_id,
        "step": stage.name,
        "phase": stage.phase,
        "undoing": stage.state == "undoing",
        "attempt": stage.undo_attempts or stage.attempts,
    }


def _shown(status: str) -> str:
    return "deleted" if status == "purging" else status
