"""Look at the database and at what waits for a worker."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ..database import Storage
from .statements import lag

#: A worker that is further behind than this, in seconds, is late.
LATE = 60.0


def health(storage: Storage, stopwatch: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """The health of one mount. Raises `StorageUnavailable` where the database does not answer."""
    begun = stopwatch()
    waiting = backlog(storage)
    latency = (stopwatch() - begun) * 1000
    behind, due = max(lag for _, lag in waiting.values()), sum(due for due, _ in waiting.values())
    late, writable = behind > LATE, storage.takes_writes()
    return {
        "status": "degraded" if late or not writable else "ok",
        "database": {"status": "ok" if writable else "read-only", "latency_ms": round(latency, 1)},
        "worker": {"status": "late" if late else "ok", "due": due, "lag_seconds": round(behind, 1)},
    }


def backlog(storage: Storage) -> dict[str, tuple[int, float]]:
    """Return how much of each kind of work waits for a worker, and for how many seconds the first of it has."""
    now = storage.clock()
    return {name: (waiting.due, _age(waiting.since, now)) for name, waiting in storage.read(lag).items()}


def _age(since: str | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - datetime.fromisoformat(since).timestamp())
