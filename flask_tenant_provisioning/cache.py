"""An in-process cache with a time to live, whose entries can be invalidated while they are being loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """A cache of values by key, safe among threads.

    A value expires `seconds` after its load began. Beyond `most` entries the oldest ones are dropped.
    """

    def __init__(self, clock: Callable[[], float], seconds: float, most: int = 10_000) -> None:
        self._clock, self._seconds, self._most = clock, seconds, most
        self._known: dict[K, tuple[float, V]] = {}
        self._asking: dict[K, object] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the cached value of `key`, or None if there is none or it has expired."""
        known = self._known.get(key)
        if known is None or not 0 <= self._clock() - known[0] < self._seconds:
            return None
        return known[1]

    def renew(self, key: K, ask: Callable[[], V]) -> V:
        """Call `ask`, cache what it returns, and return it.

        None is not cached, and neither is a value whose key was invalidated during the call: it may be stale.
        """
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
        """Invalidate the entries of `keys`, and the loads of them in flight."""
        with self._lock:
            for key in keys if self._known or self._asking else ():
                self._known.pop(key, None)
                self._asking.pop(key, None)

    def invalidate_where(self, stale: Callable[[V], bool]) -> None:
        """Invalidate the entries that match `stale`, and every load in flight."""
        with self._lock:
            self._known = {key: known for key, known in self._known.items() if not stale(known[1])}
            self._asking.clear()

    def _keep(self, key: K, at: float, value: V) -> None:
        self._known.pop(key, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[key] = at, value
