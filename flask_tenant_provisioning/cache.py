"""An in-process cache with a time to live, whose entries can be invalidated while they are being loaded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """A cache of values by key, safe among threads.

    A value expires `seconds` after its load began, or never with `math.inf`. Beyond `max_size` entries the oldest ones
    are dropped; with 0 of either, nothing is cached.
    """

    def __init__(self, clock: Callable[[], float], seconds: float, max_size: int = 10_000) -> None:
        self._clock, self._seconds, self._max_size = clock, seconds, max_size
        self._entries: dict[K, tuple[float, V]] = {}
        self._loading: dict[K, object] = {}
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return the cached value of `key`, or None if there is none or it has expired."""
        known = self._entries.get(key)
        if known is None or not 0 <= self._clock() - known[0] < self._seconds:
            return None
        return known[1]

    def load(self, key: K, load: Callable[[], V]) -> V:
        """Call `load`, cache what it returns, and return it.

        None is not cached, and neither is a value whose key was invalidated during the call: it may be stale.
        """
        started, token = self._clock(), object()
        self._loading[key] = token
        try:
            value = load()
            with self._lock:
                if self._loading.get(key) is token and value is not None and self._seconds and self._max_size:
                    self._store(key, started, value)
            return value
        finally:
            with self._lock:
                if self._loading.get(key) is token:
                    del self._loading[key]

    def invalidate(self, keys: Iterable[K]) -> None:
        """Invalidate the entries of `keys`, and the loads of them in flight."""
        with self._lock:
            for key in keys if self._entries or self._loading else ():
                self._entries.pop(key, None)
                self._loading.pop(key, None)

    def invalidate_where(self, stale: Callable[[V], bool]) -> None:
        """Invalidate the entries that match `stale`, and every load in flight."""
        with self._lock:
            self._entries = {key: known for key, known in self._entries.items() if not stale(known[1])}
            self._loading.clear()

    def _store(self, key: K, started: float, value: V) -> None:
        self._entries.pop(key, None)
        while len(self._entries) >= self._max_size:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = started, value
