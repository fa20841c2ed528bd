"""What a step function receives and raises: `StepContext`, `StepFailed` and `StepAbandoned`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .models import RunStep


class StepFailed(Exception):
    """Raised by a step of the host's; partners read its `message`.

    With ``retry=False`` the step gives up at once.
    """

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.message, self.retry = message, retry


class StepAbandoned(Exception):
    """This attempt has taken too long: another one counts now, and whatever this one does is forgotten."""


class StepContext:
    """One attempt at one step of one tenant.

    `idempotency_key` is the same at every attempt, until the step has been undone: hand it to whatever you call, and
    what an attempt that died half way has made is found again. `attempt` counts from 1. `saved` is what earlier
    attempts, or in an undo the step itself, have saved.
    """

    def __init__(self, stage: RunStep, stages: Sequence[RunStep], keep: Callable[[str], None]) -> None:
        undoing = stage.state == "undoing"
        self.step = stage.name
        self.partner = stage.partner_id
        self.attempt = stage.undo_attempts if undoing else stage.attempts
        made = f"{stage.tenant_id}:{stage.phase}:{stage.name}:{stage.generation}"
        self.idempotency_key = f"{made}:undo" if undoing else made
        self.saved: dict[str, Any] = _load_memory(stage)
        self._stages = {other.name: other for other in stages}
        self._keep = keep

    def save(self, values: Mapping[str, Any]) -> None:
        """Remember `values` (JSON) beside what is saved already, at once and whatever becomes of this attempt.

        Raises `TypeError` or `ValueError` for what is no JSON, and `StepAbandoned` where the attempt has taken too
        long and another one is on its way: do nothing more then.
        """
        found = {**self.saved, **values}
        self._keep(json.dumps(found, allow_nan=False))
        self.saved = found

    def saved_by(self, step: str) -> dict[str, Any]:
        """What another step of this tenant and phase has saved. Raises `KeyError` where there is none of this name."""
        return _load_memory(self._stages[step])


def _load_memory(stage: RunStep) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.memory) if stage.memory else {}
    return found
