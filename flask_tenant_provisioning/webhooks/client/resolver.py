"""Host name resolution with a timeout: `socket.getaddrinfo` itself has none and may take half a minute."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

Entries = Sequence[tuple[Any, ...]]
#: The seconds that a look-up may take, the wait for a free thread included; and how many may be under way.
TIMEOUT, THREADS = 2.0, 16


class _Lookup:
    """One question, its answer or error, and an event that says that it is there."""

    def __init__(self, host: str, port: int, options: dict[str, Any]) -> None:
        self.question = host, port, options
        self.is_answered = threading.Event()
        self.is_dropped = False
        self.answer: Entries = ()
        self.error: Exception | None = None


class Resolver:
    """Answers as `lookup` does, within `timeout` seconds, by at most `threads` daemon threads. Thread-safe.

    A look-up that takes longer goes on in its thread until the system gives it up; its answer is dropped.
    """

    def __init__(
        self, timeout: float = TIMEOUT, threads: int = THREADS, lookup: Callable[..., Entries] = socket.getaddrinfo
    ) -> None:
        self._timeout, self._most, self._lookup = timeout, threads, lookup
        self._lock = threading.Lock()
        self._begin()

    def __call__(self, host: str, port: int, **options: Any) -> Entries:
        """Return the entries of `host`. Raises `TimeoutError`, and the `OSError` of the look-up."""
        lookup = _Lookup(host, port, options)
        self._hand_over(lookup)
        if not lookup.is_answered.wait(self._timeout):
            lookup.is_dropped = True
            raise TimeoutError(f"no address of {host} within {self._timeout} seconds")
        if lookup.error is not None:
            raise lookup.error
        return lookup.answer

    def _begin(self) -> None:
        self._process = os.getpid()
        self._questions: queue.SimpleQueue[_Lookup] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._started = 0

    def _hand_over(self, lookup: _Lookup) -> None:
        """Give it to an idle thread, else to a new one, else to the first that becomes free."""
        with self._lock:
            if self._process != os.getpid():
                self._begin()
            if not self._idle.acquire(blocking=False) and self._started < self._most:
                self._started += 1
                threading.Thread(target=self._work, args=(self._questions, self._idle), daemon=True).start()
            self._questions.put(lookup)

    def _work(self, questions: queue.SimpleQueue[_Lookup], idle: threading.Semaphore) -> None:
        while True:
            lookup = questions.get()
            host, port, options = lookup.question
            try:
                if lookup.is_dropped:
                    raise TimeoutError
                lookup.answer = self._lookup(host, port, **options)
            except Exception as error:
                lookup.error = error
            lookup.is_answered.set()
            idle.release()
