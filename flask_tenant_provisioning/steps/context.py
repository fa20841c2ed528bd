"""The context and the exceptions of step functions: `StepContext`, `StepFailed` and `StepAbandoned`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .models import RunStep


class StepFailed(Exception):
    """Raised by a step function to fail its attempt; partners can read `message`.

    With ``retry=False`` the step is not attempted again.
    """

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.message, self.retry = message, retry


class StepAbandoned(Exception):
    """Raised by `StepContext.save` when the attempt has lost its lease: its outcome will be discarded."""


class StepContext:
    """One attempt at one step of one tenant.

    `idempotency_key` stays the same for every attempt until the step is undone; pass it to the services that you call,
    so that a repeated attempt does not create a resource twice. `attempt` counts from 1. `saved` holds what earlier
    attempts saved, or in an undo what the step saved.
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
        """Merge `values` (JSON) into `saved` and store them at once, whatever the outcome of this attempt.

        Raises `TypeError` or `ValueError` if a value is not JSON, and `StepAbandoned` if the attempt has taken too long
        and another one replaces it: stop working then.
        """
        found = {**self.saved, **values}
        self._keep(json.dumps(found, allow_nan=False))
        self.saved = found

    def saved_by(self, step: str) -> dict[str, Any]:
        """Return what another step of this tenant and phase has saved. Raises `KeyError` if there is no such step."""
        return _load_memory(self._stages[step])


def _load_memory(stage: RunStep) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(stage.memory) if stage.memory else {}
    return found
