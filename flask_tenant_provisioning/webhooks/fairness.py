"""Fair distribution of a worker's slots, so that no partner and no slow receiver delays the others."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

#: The partner and the id of an endpoint.
EndpointKey = tuple[str, str]
#: A row to choose from, which begins with an endpoint's partner and id.
Row = TypeVar("Row", bound=tuple[object, ...])
#: An endpoint that takes this long to respond, in seconds, is slow.
SLOW_SECONDS = 1.0
#: The maximum number of endpoints remembered as slow; beyond it, the oldest entry is dropped.
MAX_SLOW_ENDPOINTS = 10_000


class Slots:
    """The slots of one worker and the partners that hold them. Thread-safe.

    A partner gets another slot only while more slots are free than it holds. One partner alone can hold half of them, a
    second one half of the remaining ones, and so on, so that a partner without slots can nearly always get one.
    Endpoints whose last turn was slow share at most half of the slots.
    """

    def __init__(self, count: int, shuffle: Callable[[list[Any]], None] = random.shuffle) -> None:
        self._count, self._shuffle = count, shuffle
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._slow_held: set[EndpointKey] = set()
        self._slow: dict[EndpointKey, None] = {}

    def choose(self, rows: Iterable[Row], limit: int) -> list[Row]:
        """Choose at most `limit` of `rows`: partners with the fewest slots first, fast endpoints before slow ones."""
        with self._lock:
            waiting, held = self._group_by_partner(rows), Counter(self._held)
            free, slow_free = self._count - held.total(), self._count // 2 - len(self._slow_held)
            selected: list[Row] = []
            while waiting and len(selected) < limit:
                partner = min(waiting, key=lambda key: held[key])
                if held[partner] >= free:
                    break
                row = waiting[partner].pop()
                if not waiting[partner]:
                    del waiting[partner]
                if self._is_slow(row):
                    if slow_free <= 0:
                        waiting.pop(partner, None)  # its remaining endpoints are slow too
                        continue
                    slow_free -= 1
                selected.append(row)
                held[partner] += 1
                free -= 1
            return selected

    def acquire(self, key: EndpointKey) -> None:
        """Occupy a slot for an endpoint."""
        with self._lock:
            self._held[key[0]] += 1
            if key in self._slow:
                self._slow_held.add(key)

    def release(self, key: EndpointKey, seconds: float) -> None:
        """Free the slot of an endpoint, whose slowest response took `seconds`."""
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

    def _group_by_partner(self, rows: Iterable[Row]) -> dict[str, list[Row]]:
        """Group `rows` by partner in random order, so that fast endpoints are popped from the end first."""
        groups: dict[str, list[Row]] = defaultdict(list)
        shuffled = list(rows)
        self._shuffle(shuffled)
        for row in shuffled:
            groups[str(row[0])].append(row)
        return {partner: sorted(group, key=self._is_slow, reverse=True) for partner, group in groups.items()}

    def _is_slow(self, row: Sequence[object]) -> bool:
        return (str(row[0]), str(row[1])) in self._slow
