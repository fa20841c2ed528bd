"""Where a run stands, and what comes next: decided from its rows alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from .models import Stage

#: States of a step in which its effect may be there.
_MADE = frozenset({"succeeded", "failed"})


def ready(stages: Sequence[Stage]) -> list[Stage]:
    """The steps that can begin now: not begun, and all that they come after has succeeded."""
    states = {stage.name: stage.state for stage in stages}
    return [stage for stage in stages if stage.state == "waiting" and stage.due_at is None and _is_open(stage, states)]


def _is_open(stage: Stage, states: dict[str, str]) -> bool:
    return all(states.get(name, "succeeded") == "succeeded" for name in json.loads(stage.after))


def has_failed(stages: Sequence[Stage]) -> bool:
    """Whether a step has given up."""
    return any(stage.state == "failed" for stage in stages)


def is_done(stages: Sequence[Stage]) -> bool:
    """Whether every step has succeeded."""
    return all(stage.state == "succeeded" for stage in stages)


def is_busy(stages: Sequence[Stage]) -> bool:
    """Whether somebody is at work on a step, or on taking one back."""
    return any(stage.state in ("running", "undoing") for stage in stages)


def next_to_undo(stages: Sequence[Stage], can_undo: Callable[[str], bool]) -> Stage | None:
    """The last step that has begun, may have had an effect, and can be undone; a failed one may be half done."""
    begun = (stage for stage in reversed(stages) if stage.state in _MADE and stage.attempts)
    return next((stage for stage in begun if can_undo(stage.name)), None)
