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
    waiting = storage.read(lag)
    latency = (stopwatch() - begun) * 1000
    behind = _age(waiting.since, storage.clock())
    late, writable = behind > LATE, storage.takes_writes()
    return {
        "status": "degraded" if late or not writable else "ok",
        "database": {"status": "ok" if writable else "read-only", "latency_ms": round(latency, 1)},
        "worker": {"status": "late" if late else "ok", "due": waiting.due, "lag_seconds": round(behind, 1)},
    }


def _age(since: str | None, now: float) -> float:
    return 0.0 if since is None else max(0.0, now - datetime.fromisoformat(since).timestamp())
