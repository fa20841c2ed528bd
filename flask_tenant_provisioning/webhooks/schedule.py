"""When a delivery that failed is tried again (Standard Webhooks 1.0.0, "Retries")."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime

#: Seconds between an attempt and the next, before jitter; the first attempt is made at once.
WAITS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_ATTEMPTS = len(WAITS) + 1
JITTER = 0.2
#: Answers that ask to slow down, and say when to come again.
SLOW = frozenset({429, 502, 503, 504})
#: How long an endpoint is left alone after a timeout or a 429, at least, in seconds.
REST = 60.0


def wait(
    attempts: int,
    retry_after: str | None = None,
    *,
    slow: bool = False,
    now: float = 0.0,
    uniform: Callable[[float, float], float] = random.uniform,
) -> float | None:
    """Seconds until the next attempt after `attempts` of them, None where that was the last one.

    `retry_after` counts from once to twice the scheduled time; `slow` means a timeout or a 429. `now` is in seconds
    since 1970.
    """
    if attempts >= MOST_ATTEMPTS:
        return None
    scheduled = WAITS[attempts - 1]
    found = scheduled * uniform(1 - JITTER, 1 + JITTER)
    wanted = asked(retry_after, now)
    if wanted is not None:
        found = min(max(wanted, scheduled), 2 * scheduled)
    return max(found, REST) if slow else found


def asked(retry_after: str | None, now: float) -> float | None:
    """What a ``Retry-After`` asks for, in seconds from `now` on (RFC 9110 §10.2.3); None where it is none."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
