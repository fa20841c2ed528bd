"""A request is counted by a strategy of `limits`, with as few questions to its storage as will do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.strategies import RateLimiter

#: The ends of how many windows a process remembers.
_MOST = 10_000


class Count(NamedTuple):
    """Whether a request was let pass, how many more would be, and when there are as many as ever, since 1970."""

    passes: bool
    remaining: int
    ends: float


class Windows:
    """What one process knows of the windows that it counts in.

    To count, to read and to ask for the end are three questions, each a round trip to Redis. A fixed window says how
    many it has when it counts, and its end stays where it is: that is asked again where a request is refused.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def hit(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> Count:
        """Count a request."""
        from limits.strategies import FixedWindowRateLimiter

        if type(strategy) is not FixedWindowRateLimiter:
            passes = strategy.hit(item, *key)
            return self.look(strategy, item, *key)._replace(passes=passes)
        name = item.key_for(*key)
        count = strategy.storage.incr(name, item.get_expiry())
        ends = self._ends.get(name, 0)
        if not 1 < count <= item.amount or ends <= self._clock():
            ends = self._remembered(name, strategy.storage.get_expiry(name))
        return Count(count <= item.amount, max(item.amount - count, 0), ends)

    def look(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> Count:
        """How it stands, without counting."""
        ends, remaining = strategy.get_window_stats(item, *key)
        return Count(remaining > 0, max(remaining, 0), ends)

    def _remembered(self, name: str, ends: float) -> float:
        if len(self._ends) >= _MOST:
            self._ends.clear()
        self._ends[name] = ends
        return ends
