"""Connections that are kept open between two sends of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from .connections import Connection, Route


class Pool:
    """Keeps at most `most` idle connections for at most `seconds` each; any number of threads may share it."""

    def __init__(self, most: int, seconds: float, monotonic: Callable[[], float]) -> None:
        self._most, self._seconds, self._monotonic = most, seconds, monotonic
        self._lock = threading.Lock()
        self._since: dict[Connection, float] = {}  # in the order in which they became idle
        self._idle: dict[Route, list[Connection]] = {}

    def take(self, routes: Iterable[Route]) -> Connection | None:
        """A live connection for the first of `routes` that has one; the caller alone has it now."""
        for route in routes:
            while (connection := self._newest(route)) is not None:
                if connection.is_quiet():
                    return connection
                connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next send; those that are too old or too many are closed."""
        with self._lock:
            self._since[connection] = self._monotonic()
            self._idle.setdefault(connection.route, []).append(connection)
            self._clear()

    def close(self) -> None:
        """Close every idle connection, and from now on each that is given back."""
        with self._lock:
            self._most = 0
            self._clear()

    def abandon(self) -> None:
        """Close a parent's connections in its child; the parent's own copies stay open.

        Without the lock, which may have been held in the parent at the fork, and has no holder here.
        """
        for connection in list(self._since):
            connection.close()

    def _newest(self, route: Route) -> Connection | None:
        with self._lock:
            self._clear()
            if route not in self._idle:
                return None
            connection = self._idle[route][-1]
            self._forget(connection)
            return connection

    def _clear(self) -> None:
        before = self._monotonic() - self._seconds
        while self._since:
            oldest = next(iter(self._since))
            if len(self._since) <= self._most and self._since[oldest] >= before:
                break
            self._forget(oldest)
            oldest.close()

    def _forget(self, connection: Connection) -> None:
        del self._since[connection]
        idle = self._idle[connection.route]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.route]
