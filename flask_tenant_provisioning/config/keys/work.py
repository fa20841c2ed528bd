"""The work that follows a commit."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..checks import choice, number
from ..declaring import key


def _engine(value: Any) -> str:
    if choice("embedded", "external", "celery")(value) == "celery" and importlib.util.find_spec("celery") is None:
        raise ValueError("'embedded' or 'external', or pip install 'flask-tenant-provisioning[celery]'")
    return str(value)


class WorkKeys:
    """Who does it, and how."""

    engine: str = key(
        "embedded",
        "Who does what follows a commit: `embedded`, a thread of each serving process from its first request on; "
        "`external`, `flask provisioning worker` alone; `celery`, the workers of the host's Celery app.",
        _engine,
    )
    worker_threads: int = key(8, "How many steps a worker, or a Celery task, runs at once.", number(1, 1000))
    worker_poll_seconds: int = key(
        2, "How often an idle worker looks for work that other processes have left.", number(1, 3600)
    )
    worker_lease_seconds: int = key(
        30, "After how long others take over the work of a worker that has died.", number(1, 3600)
    )
