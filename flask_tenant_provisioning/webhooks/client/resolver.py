"""Host name resolution with a timeout; `socket.getaddrinfo` has none and may take half a minute."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

Entries = Sequence[tuple[Any, ...]]
#: The time limit of a lookup in seconds, including the wait for a free thread, and the maximum number of threads.
TIMEOUT, THREADS = 2.0, 16


class _Lookup:
    """One lookup: its arguments, its result or error, and an event that is set when it is done."""

    def __init__(self, host: str, port: int, options: dict[str, Any]) -> None:
        self.arguments = host, port, options
        self.is_done = threading.Event()
        self.is_dropped = False
        self.result: Entries = ()
        self.error: Exception | None = None


class Resolver:
    """A replacement for `lookup` with a timeout in seconds, which uses at most `threads` daemon threads. Thread-safe.

    A lookup that takes longer continues in its thread until the operating system gives up; its result is dropped.
    """

    def __init__(
        self, timeout: float = TIMEOUT, threads: int = THREADS, lookup: Callable[..., Entries] = socket.getaddrinfo
    ) -> None:
        self._timeout, self._max_threads, self._lookup = timeout, threads, lookup
        self._lock = threading.Lock()
        self._reset()

    def __call__(self, host: str, port: int, **options: Any) -> Entries:
        """Return the addresses of `host` as `lookup` does. Raises `TimeoutError`, and any `OSError` of the lookup."""
        lookup = _Lookup(host, port, options)
        self._submit(lookup)
        if not lookup.is_done.wait(self._timeout):
            lookup.is_dropped = True
            raise TimeoutError(f"no address of {host} within {self._timeout} seconds")
        if lookup.error is not None:
            raise lookup.error
        return lookup.result

    def _reset(self) -> None:
        self._process = os.getpid()
        self._queue: queue.SimpleQueue[_Lookup] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def _submit(self, lookup: _Lookup) -> None:
        """Pass `lookup` to an idle thread, else to a new one, else to the first that becomes free."""
        with self._lock:
            if self._process != os.getpid():
                self._reset()
            if not self._idle.acquire(blocking=False) and self._started < self._max_threads:
                self._started += 1
                threading.Thread(target=self._run_lookups, args=(self._queue, self._idle), daemon=True).start()
            self._queue.put(lookup)

    def _run_lookups(self, lookups: queue.SimpleQueue[_Lookup], idle: threading.Semaphore) -> None:
        while True:
            lookup = lookups.get()
            host, port, options = lookup.arguments
            try:
                if lookup.is_dropped:
                    raise TimeoutError
                lookup.result = self._lookup(host, port, **options)
            except Exception as error:
                lookup.error = error
            lookup.is_done.set()
            idle.release()
