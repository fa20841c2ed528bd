"""What happens while the storage of the counts is away: nobody is refused, and hardly anybody waits for it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

#: After how many seconds a storage that was away is asked again.
PAUSE = 5


class Outage:
    """Whether one process may ask its storage. While it is away one request asks in `PAUSE` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._again: float | None = None

    def over(self) -> bool:
        """Whether to ask: there is no outage, or it is this request's turn to see."""
        if self._again is None:
            return True
        with self._lock:
            now = self._clock()
            if self._again is not None and 0 < self._again - now <= PAUSE:
                return False
            self._again = now + PAUSE
        return True

    def begins(self, error: Exception) -> None:
        """It did not answer. Said once: the error's own words could hold a password, so its class alone is told."""
        with self._lock:
            first, self._again = self._again is None, self._clock() + PAUSE
        if first:
            kind = type(error).__name__
            logger.error(
                "rate limits: the storage does not answer (%s); no request is refused", kind, extra={"error": kind}
            )

    def ends(self) -> None:
        """It answered."""
        if self._again is not None:
            with self._lock:
                over, self._again = self._again is not None, None
            if over:
                logger.warning("rate limits: the storage answers again", extra={"seconds": PAUSE})
