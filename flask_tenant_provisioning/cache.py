"""An in-process cache with a time to live, whose entries can be invalidated while they are being loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Values by their keys, each for `seconds` from when it was asked for; of more than `most`, the oldest go."""

    def __init__(self, clock: Callable[[], float], seconds: float, most: int = 10_000) -> None:
        self._clock, self._seconds, self._most = clock, seconds, most
        self._known: dict[K, tuple[float, V]] = {}
        self._asking: dict[K, object] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """What is remembered of it."""
        known = self._known.get(key)
        if known is None or not 0 <= self._clock() - known[0] < self._seconds:
            return None
        return known[1]

    def renew(self, key: K, ask: Callable[[], V]) -> V:
        """What `ask` says. It is remembered unless it is None, or was forgotten meanwhile: then it may be of before."""
        at, mine = self._clock(), object()
        self._asking[key] = mine
        try:
            found = ask()
            with self._lock:
                if self._asking.get(key) is mine and found is not None and self._seconds:
                    self._keep(key, at, found)
            return found
        finally:
            with self._lock:
                if self._asking.get(key) is mine:
                    del self._asking[key]

    def forget(self, keys: Iterable[K]) -> None:
        """Ask anew for these."""
        with self._lock:
            for key in keys if self._known or self._asking else ():
                self._known.pop(key, None)
                self._asking.pop(key, None)

    def invalidate_where(self, stale: Callable[[V], bool]) -> None:
        """Ask anew for those of which `stale` says so, and for all that are being asked for."""
        with self._lock:
            self._known = {key: known for key, known in self._known.items() if not stale(known[1])}
            self._asking.clear()

    def _keep(self, key: K, at: float, value: V) -> None:
        self._known.pop(key, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = at, value
