"""The context and the exceptions of step functions: `StepContext`, `StepFailed` and `StepAbandoned`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

    def __init__(self, step: RunStep, steps: Sequence[RunStep], save_memory: Callable[[str], None]) -> None:
        is_undo = step.state == "undoing"
        self.step = step.name
        self.partner = step.partner_id
        self.attempt = step.current_attempt
        prefix = f"{step.tenant_id}:{step.phase}:{step.name}:{step.generation}"
        self.idempotency_key = f"{prefix}:undo" if is_undo else prefix
        self.saved: dict[str, Any] = _load_memory(step)
        self._steps = {other.name: other for other in steps}
        self._save_memory = save_memory

    def save(self, values: Mapping[str, Any]) -> None:
        """Merge `values` (JSON) into `saved` and store them at once, whatever the outcome of this attempt.

        Raises `TypeError` or `ValueError` if a value is not JSON, and `StepAbandoned` if the attempt has taken too long
        and another one replaces it: stop working then.
        """
        merged = {**self.saved, **values}
        self._save_memory(json.dumps(merged, allow_nan=False))
        self.saved = merged

    def saved_by(self, step: str) -> dict[str, Any]:
        """Return what another step of this tenant and phase has saved. Raises `KeyError` if there is no such step."""
        return _load_memory(self._steps[step])


def _load_memory(step: RunStep) -> dict[str, Any]:
    memory: dict[str, Any] = json.loads(step.memory) if step.memory else {}
    return memory
