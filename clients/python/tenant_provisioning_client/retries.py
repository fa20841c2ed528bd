"""When a call is sent again, and after how many seconds. Nothing here sleeps or sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .errors import ConnectionFailed, ProvisioningError, ProvisioningProblem, SignInFailed, UnexpectedResponse
from .operations import Call

#: A status after which the request has had no effect.
RATE_LIMITED = 429
#: Statuses that pass: of the API while its database is away, and of proxies while the API is away.
PASSING = {502, 503, 504}


@dataclass(frozen=True)
class Retries:
    """The limits of repeating a call. `Retries(attempts=1)` repeats nothing."""

    #: How often a call is sent at most.
    attempts: int = 5
    #: Seconds before the second attempt; before each further one, twice as long. A random part of up to a half is taken
    #: off. Where the API says how long to wait, that is what the client waits, and a random part of this more.
    backoff: float = 0.5
    #: The longest wait, in seconds, that the client chooses by itself.
    longest_wait: float = 30.0
    #: Seconds that all attempts of a call take at most, with the waits between them.
    total: float = 120.0

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.backoff, self.longest_wait) < 0 or self.total <= 0:
            raise ValueError("Retries needs at least one attempt, waits from 0 seconds on, and a total above 0.")


class Attempts:
    """The attempts of one call."""

    def __init__(self, retries: Retries, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._retries, self._clock, self._random = retries, clock, random
        self.deadline = clock() + retries.total
        self.count = 0

    @property
    def seconds_left(self) -> float:
        """Return the seconds until the deadline, never less than 0."""
        return max(0.0, self.deadline - self._clock())

    def plan_wait(self, call: Call[Any], failure: ProvisioningError) -> float | None:
        """Return the seconds to wait before the call is sent again, None if it is not."""
        self.count += 1
        if self.count >= self._retries.attempts or not may_repeat(call, failure):
            return None
        if failure.retry_after is None:
            wait = min(self._retries.longest_wait, self._retries.backoff * 2 ** (self.count - 1))
            wait *= 1 - self._random() / 2
        else:
            wait = failure.retry_after + self._retries.backoff * self._random()
        return wait if wait < self.seconds_left else None


def may_repeat(call: Call[Any], failure: ProvisioningError) -> bool:
    """Return whether a repetition may succeed, and cannot do anything twice."""
    if isinstance(failure, ConnectionFailed):
        return call.is_repeatable or not failure.was_sent
    if isinstance(failure, SignInFailed):  # the call itself has not been sent
        return failure.status == RATE_LIMITED or failure.status in PASSING
    if isinstance(failure, ProvisioningProblem | UnexpectedResponse):
        if isinstance(failure, ProvisioningProblem) and failure.code == "idempotency-in-progress":
            return True
        return failure.status == RATE_LIMITED or (failure.status in PASSING and call.is_repeatable)
    return False
