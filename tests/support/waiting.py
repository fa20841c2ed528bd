"""Wait for what happens elsewhere, and no longer than it takes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> bool:
    """Return whether `holds` becomes true within so many seconds."""
    end = time.monotonic() + seconds
    while not (value := holds()) and time.monotonic() < end:
        threading.Event().wait(0.02)
    return value
