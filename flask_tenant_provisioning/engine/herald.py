"""Tells somebody elsewhere that something has happened, from a thread of its own: no write waits for it."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: Seconds between two times of telling: what happens meanwhile is told together.
GATHER = 0.5
#: How long a process that ends waits until what has happened is told, in seconds.
GRACE = 2.0


class Herald:
    """Calls `tell` after `happened`: soon where nothing was told lately, else once `gather` seconds have passed.

    Whatever has happened before a call of `tell` begins is told by it. The thread begins with the first event; a fork
    has none of its parent's.
    """

    def __init__(self, tell: Callable[[], None], gather: float = GATHER) -> None:
        self._tell, self._gather = tell, gather
        self._changed = threading.Condition()
        self._news = self._ending = False
        self._thread: threading.Thread | None = None

    def happened(self) -> None:
        """Let it be told soon."""
        if self._news:
            return
        with self._changed:
            self._news = True
            if self._thread is None:
                self._start()
            self._changed.notify()

    def stop(self, grace: float = GRACE) -> None:
        """Tell what has not been told, at once, and end; waits for `grace` seconds at most."""
        if self._thread is None or not self._thread.is_alive():
            return
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(grace)
        atexit.unregister(self.stop)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"{__package__}-herald", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        while self._heard():
            try:
                self._tell()
            except Exception as error:
                logger.warning(
                    "what has happened could not be told, a sweep finds it: %s", error, extra={"error": str(error)}
                )
            with self._changed:
                self._changed.wait_for(lambda: self._ending, self._gather)

    def _heard(self) -> bool:
        """Wait until something happens; False where nothing has and the process ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._ending)
            heard, self._news = self._news, False
            return heard
