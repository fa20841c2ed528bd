"""The beat schedule that a host adds to its Celery app."""

from __future__ import annotations

from typing import Any

from ..workers.celery import MESSAGE_EXPIRY
from ..workers.tasks import MAINTENANCE_TASK, SWEEP_TASK


def beat_schedule(*mounts: str, every: float = 5.0) -> dict[str, dict[str, Any]]:
    """What Celery's beat has to send for these mounts, ``provisioning`` by default: part of the host's `beat_schedule`.

    A sweep `every` so many seconds finds steps to be tried again, what dead workers left, and lost messages. Once a
    minute, chores remove what is past its time.
    """
    times = {SWEEP_TASK: every, MAINTENANCE_TASK: 60.0}
    return {
        f"{task}:{mount}": {"task": task, "args": (mount,), "schedule": seconds, "options": {"expires": MESSAGE_EXPIRY}}
        for mount in mounts or ("provisioning",)
        for task, seconds in times.items()
    }
