"""The engine of a mount: a worker thread in the serving process, or Celery; none for external workers."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from ..mount import Mount, WorkEngine
from .worker import Worker, make_worker

logger = logging.getLogger(__name__)
#: Seconds that an ending process waits for its running work.
STOP_TIMEOUT = 10.0


class EmbeddedEngine:
    """Starts a worker thread when this process serves its first request; each fork starts its own."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._starting = threading.Lock()
        self._process: int | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the worker unless this process has one."""
        if self._process != os.getpid():
            with self._starting:
                if self._process != os.getpid():
                    self._start()

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Make this process's worker, if any, look for work now."""
        if worker := self._get_worker():
            worker.wake()

    def notify_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Make this process's worker, if any, publish events soon."""
        if worker := self._get_worker():
            worker.notify_events()

    def _get_worker(self) -> Worker | None:
        """Return this process's worker; a parent's worker does not run in a fork."""
        return self._worker if self._process == os.getpid() else None

    def stop(self, grace: float = STOP_TIMEOUT) -> None:
        """Claim no more work, and wait for running work for at most `grace` seconds."""
        worker, thread = self._worker, self._thread
        if worker is None or thread is None or self._process != os.getpid():
            return
        worker.stop()
        thread.join(grace)
        if unfinished := worker.finish(grace):
            logger.warning(
                "%d pieces of work did not finish; another worker runs them again",
                unfinished,
                extra={"left": unfinished},
            )

    def _start(self) -> None:
        self._worker = self._make()
        self._thread = threading.Thread(target=self._worker.run, name="flask_tenant_provisioning-worker", daemon=True)
        self._thread.start()
        self._process = os.getpid()
        atexit.register(self.stop)
        logger.info("started a worker thread in this process", extra={"pid": self._process})


def make_engine(mount: Mount) -> WorkEngine | None:
    """Make the engine that the configuration of `mount` names; None for external workers, which poll the database."""
    if mount.config.engine == "celery":
        from .celery import CeleryEngine

        return CeleryEngine(mount)
    return EmbeddedEngine(partial(make_worker, mount)) if mount.config.engine == "embedded" else None
