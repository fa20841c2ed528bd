"""The gauges of a mount: queues, connections and licence, read when metrics are collected."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ..cache import TTLCache
from ..errors import ProvisioningError
from ..licensing.document import DAY
from ..mount import Mount
from ..telemetry.base import Reading
from ..telemetry.instruments import (
    DATABASE_UP,
    LICENSE_DAYS,
    POOL_CONNECTIONS,
    POOL_LIMIT,
    QUEUE_DEPTH,
    QUEUE_LAG,
)
from .backlog import read_backlog

#: Seconds for which one reading of the queues serves every collection of a process, which is how often at most the
#: database is asked.
BACKLOG_SECONDS = 10.0


def observe_gauges(mount: Mount) -> None:
    """Let the telemetry of `mount` read its gauges. The mount is not kept alive by it."""
    reference = weakref.ref(mount)
    queues = _Queues(reference, time.monotonic)
    mount.telemetry.observe(queues.read)
    mount.telemetry.observe(lambda: _read_license(reference()))
    mount.telemetry.observe_process(lambda: _read_pool(reference()))


class _Queues:
    """The depth and lag of each kind of work, and whether the database answered."""

    def __init__(self, mount: Callable[[], Mount | None], monotonic: Callable[[], float]) -> None:
        self._mount = mount
        self._readings: TTLCache[str, list[Reading]] = TTLCache(monotonic, BACKLOG_SECONDS)

    def read(self) -> list[Reading]:
        """Return the readings, at most `BACKLOG_SECONDS` old. Without an answer, the database is reported as down."""
        return self._readings.get("") or self._readings.load("", lambda: [*self._read()])

    def _read(self) -> Iterator[Reading]:
        mount = self._mount()
        if mount is None or not mount.is_mounted:
            return
        try:
            backlog = read_backlog(mount.storage)
        except ProvisioningError:
            yield Reading(DATABASE_UP, 0)
            return
        yield Reading(DATABASE_UP, 1)
        for kind, (due, seconds) in backlog.items():
            yield Reading(QUEUE_DEPTH, due, {"kind": kind})
            yield Reading(QUEUE_LAG, seconds, {"kind": kind})


def _read_license(mount: Mount | None) -> Iterator[Reading]:
    license = None if mount is None else mount.license.license
    if mount is not None and license is not None:
        yield Reading(LICENSE_DAYS, (license.expires - mount.storage.clock()) / DAY)


def _read_pool(mount: Mount | None) -> Iterator[Reading]:
    """Read the pool, which is the host's own if the API uses its engine. A pool of another kind has no figures."""
    pool: Any = None if mount is None or not mount.is_mounted else mount.storage.engine.pool
    if hasattr(pool, "checkedout") and hasattr(pool, "checkedin"):
        yield Reading(POOL_CONNECTIONS, pool.checkedout(), {"state": "used"})
        yield Reading(POOL_CONNECTIONS, pool.checkedin(), {"state": "idle"})
        overflow = getattr(pool, "_max_overflow", -1)
        if overflow >= 0:
            yield Reading(POOL_LIMIT, pool.size() + overflow)
