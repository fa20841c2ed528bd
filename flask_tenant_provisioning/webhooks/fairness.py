"""Fair distribution of a worker's slots, so that no partner and no slow receiver delays the others."""

from __future__ import annotations

import random
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .models import EndpointKey

#: An endpoint that takes this long to respond, in seconds, is slow.
SLOW_SECONDS = 1.0
#: The maximum number of endpoints remembered as slow; beyond it, the oldest entry is dropped.
MAX_SLOW_ENDPOINTS = 10_000


class FreeEndpoint(NamedTuple):
    """An endpoint that can be claimed: its primary key, and the fence that was seen."""

    partner_id: str
    id: str
    fence: int

    @property
    def slot_key(self) -> EndpointKey:
        """The key by which its slot is acquired."""
        return EndpointKey(self.partner_id, self.id)


class EndpointSlots:
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

    def choose(self, endpoints: Iterable[FreeEndpoint], limit: int) -> list[FreeEndpoint]:
        """Choose at most `limit` of these: partners with the fewest slots first, fast endpoints before slow ones."""
        with self._lock:
            waiting, held = self._group_by_partner(endpoints), Counter(self._held)
            free, slow_free = self._count - held.total(), self._count // 2 - len(self._slow_held)
            selected: list[FreeEndpoint] = []
            while waiting and len(selected) < limit:
                partner = min(waiting, key=lambda key: held[key])
                if held[partner] >= free:
                    break
                endpoint = waiting[partner].pop()
                if not waiting[partner]:
                    del waiting[partner]
                if self._is_slow(endpoint):
                    if slow_free <= 0:
                        waiting.pop(partner, None)  # its remaining endpoints are slow too
                        continue
                    slow_free -= 1
                selected.append(endpoint)
                held[partner] += 1
                free -= 1
            return selected

    def acquire(self, key: EndpointKey) -> None:
        """Occupy a slot for an endpoint."""
        with self._lock:
            self._held[key.partner_id] += 1
            if key in self._slow:
                self._slow_held.add(key)

    def release(self, key: EndpointKey, seconds: float) -> None:
        """Free the slot of an endpoint, whose slowest response took `seconds`."""
        with self._lock:
            self._held[key.partner_id] -= 1
            if self._held[key.partner_id] <= 0:
                del self._held[key.partner_id]
            self._slow_held.discard(key)
            self._slow.pop(key, None)
            if seconds >= SLOW_SECONDS:
                self._slow[key] = None
                if len(self._slow) > MAX_SLOW_ENDPOINTS:
                    del self._slow[next(iter(self._slow))]

    def _group_by_partner(self, endpoints: Iterable[FreeEndpoint]) -> dict[str, list[FreeEndpoint]]:
        """Group `endpoints` by partner in random order, so that fast endpoints are popped from the end first."""
        groups: dict[str, list[FreeEndpoint]] = defaultdict(list)
        shuffled = list(endpoints)
        self._shuffle(shuffled)
        for endpoint in shuffled:
            groups[endpoint.partner_id].append(endpoint)
        return {partner: sorted(group, key=self._is_slow, reverse=True) for partner, group in groups.items()}

    def _is_slow(self, endpoint: FreeEndpoint) -> bool:
        return endpoint.slot_key in self._slow
