"""The beat schedule that a host adds to its Celery app."""

from __future__ import annotations

from typing import Any

from ..workers.celery import MESSAGE_EXPIRY
from ..workers.tasks import MAINTENANCE_TASK, SWEEP_TASK


def beat_schedule(*mounts: str, every: float = 5.0) -> dict[str, dict[str, Any]]:
    """Return the entries of Celery's `beat_schedule` for these mounts, ``provisioning`` by default.

    Every `every` seconds, a sweep sends messages for steps to be retried, work that dead workers left, and lost
    messages. Once a minute, maintenance removes what has expired.
    """
    times = {SWEEP_TASK: every, MAINTENANCE_TASK: 60.0}
    return {
        f"{task}:{mount}": {"task": task, "args": (mount,), "schedule": seconds, "options": {"expires": MESSAGE_EXPIRY}}
        for mount in mounts or ("provisioning",)
        for task, seconds in times.items()
    }
