"""Fair distribution of a worker's slots: neither one partner nor slow receivers delay the others."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

#: An endpoint by its partner and id.
Key = tuple[str, str]
#: What is chosen from: a row that begins with an endpoint's partner and id.
Row = TypeVar("Row", bound=tuple[object, ...])
#: An endpoint that takes so many seconds for an answer is slow.
SLOW_SECONDS = 1.0
#: How many endpoints are known to be slow at most; beyond, the one that was noted first is forgotten.
MAX_SLOW_ENDPOINTS = 10_000


class Slots:
    """The slots of one worker, and who has them. Threads may share one.

    A partner gets another slot only while more slots are free than it has: one alone may have half of them, a second
    partner half of the rest, and so on, so that there is nearly always one for a partner that has none. Endpoints whose
    last turn was slow have at most half of the slots together.
    """

    def __init__(self, count: int, shuffle: Callable[[list[Any]], None] = random.shuffle) -> None:
        self._count, self._shuffle = count, shuffle
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._slow_held: set[Key] = set()
        self._slow: dict[Key, None] = {}

    def choose(self, rows: Iterable[Row], limit: int) -> list[Row]:
        """Choose at most `limit` of `rows`: of the partner with the fewest slots first, of each its fast ones first."""
        with self._lock:
            waiting, held = self._waiting(rows), Counter(self._held)
            free, slow_free = self._count - held.total(), self._count // 2 - len(self._slow_held)
            chosen: list[Row] = []
            while waiting and len(chosen) < limit:
                partner = min(waiting, key=lambda one: held[one])
                if held[partner] >= free:
                    break
                row = waiting[partner].pop()
                if not waiting[partner]:
                    del waiting[partner]
                if self._is_slow(row):
                    if slow_free <= 0:
                        waiting.pop(partner, None)  # its fast ones came first
                        continue
                    slow_free -= 1
                chosen.append(row)
                held[partner] += 1
                free -= 1
            return chosen

    def take(self, key: Key) -> None:
        """Note that an endpoint is being worked for."""
        with self._lock:
            self._held[key[0]] += 1
            if key in self._slow:
                self._slow_held.add(key)

    def give_back(self, key: Key, seconds: float) -> None:
        """Note that an endpoint's turn is over; its slowest answer took so many `seconds`."""
        with self._lock:
            self._held[key[0]] -= 1
            if self._held[key[0]] <= 0:
                del self._held[key[0]]
            self._slow_held.discard(key)
            self._slow.pop(key, None)
            if seconds >= SLOW_SECONDS:
                self._slow[key] = None
                if len(self._slow) > MAX_SLOW_ENDPOINTS:
                    del self._slow[next(iter(self._slow))]

    def _waiting(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """The rows of each partner, to be taken from the end, partners in no order."""
        found: dict[str, list[Row]] = defaultdict(list)
        shuffled = list(rows)
        self._shuffle(shuffled)
        for row in shuffled:
            found[str(row[0])].append(row)
        return {partner: sorted(mine, key=self._is_slow, reverse=True) for partner, mine in found.items()}

    def _is_slow(self, row: Sequence[object]) -> bool:
        return (str(row[0]), str(row[1])) in self._slow
