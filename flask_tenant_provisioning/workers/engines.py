"""The engine of a mount: a worker thread in the serving process, workers elsewhere, or Celery."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Callable, Sequence

from ..config import Config
from ..mount import Mount, WorkEngine
from .worker import Worker, make_worker

logger = logging.getLogger(__name__)
#: How long a process that ends waits for what its worker is doing, in seconds.
STOP_TIMEOUT = 10.0


class EmbeddedEngine:
    """Starts the worker that `make` makes when this process serves its first request; a fork starts its own."""

    def __init__(self, make: Callable[[], Worker]) -> None:
        self._make = make
        self._starting = threading.Lock()
        self._process: int | None = None
        self._worker: Worker | None = None
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Start the worker, unless this process has one."""
        if self._process != os.getpid():
            with self._starting:
                if self._process != os.getpid():
                    self._start()

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Let this process's worker look for work, if it has one."""
        if worker := self._own():
            worker.wake()

    def happened(self) -> None:
        """Let this process's worker publish soon, if it has one."""
        if worker := self._own():
            worker.happened()

    def _own(self) -> Worker | None:
        """This process's worker; a fork has none of its parent's."""
        return self._worker if self._process == os.getpid() else None

    def stop(self, grace: float = STOP_TIMEOUT) -> None:
        """Begin nothing more, and wait for what is being done, for `grace` seconds at most."""
        worker, thread = self._worker, self._thread
        if worker is None or thread is None or self._process != os.getpid():
            return
        worker.stop()
        thread.join(grace)
        if left := worker.finish(grace):
            logger.warning("%d steps were not finished: another worker does them again", left, extra={"left": left})

    def _start(self) -> None:
        self._worker = self._make()
        self._thread = threading.Thread(target=self._worker.run, name="flask_tenant_provisioning-worker", daemon=True)
        self._thread.start()
        self._process = os.getpid()
        atexit.register(self.stop)
        logger.info("this process does provisioning work in a thread of its own", extra={"pid": self._process})


class ExternalEngine:
    """Work is found by workers elsewhere."""

    def serve(self) -> None:
        pass

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        pass

    def happened(self) -> None:
        pass

    def stop(self, grace: float) -> None:
        pass


def make_engine(settings: Config, mount: Callable[[], Mount]) -> WorkEngine:
    """The engine that the configuration asks for; `mount` is asked for once there is work."""
    if settings.engine == "celery":
        from .celery import CeleryEngine

        return CeleryEngine(mount)
    return EmbeddedEngine(lambda: make_worker(mount())) if settings.engine == "embedded" else ExternalEngine()
