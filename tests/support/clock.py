"""A clock that a test moves, and tokens that outlive it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

DAY = 86_400
#: Tokens that outlive whatever a `Clock` is moved by.
LONG_LIVED_TOKENS: dict[str, Any] = {"JWT_ACCESS_TOKEN_EXPIRES": timedelta(days=3000)}


class Clock:
    """Seconds since 1970, moved by hand."""

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now

    def __call__(self) -> float:
        return self.now
