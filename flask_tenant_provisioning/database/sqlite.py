"""The write lock and the write-ahead log of SQLite."""

from __future__ import annotations

import logging
import os
from typing import Any

from sqlalchemy import Connection


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction with SQLite's write lock: a lock taken at the first write could fail after earlier reads."""
    driver: Any = connection.connection.dbapi_connection
    if driver.in_transaction:  # a host's `begin` listener has started a transaction without the lock
        driver.execute("ROLLBACK")
    driver.execute("BEGIN IMMEDIATE")


def take_write_lock(connection: Connection) -> None:
    """Take SQLite's write lock in the host's transaction, which begins with it unless it has begun already.

    Reads that a transaction made before keep it from taking the lock after another writer: "database is locked".
    """
    driver: Any = connection.connection.dbapi_connection
    if not driver.in_transaction:
        driver.execute("BEGIN IMMEDIATE")


logger = logging.getLogger(__name__)
#: Size in bytes from which the log is truncated. If that fails, the next attempt follows after as many more bytes.
TRUNCATE_BYTES = 64 << 20
#: How long truncation waits for other processes that read or write, in milliseconds.
TRUNCATE_WAIT_MILLISECONDS = 500


class WriteAheadLog:
    """The write-ahead log beside the database file at `path`."""

    def __init__(
        self,
        path: str | None,
        truncate_bytes: int = TRUNCATE_BYTES,
        wait_milliseconds: int = TRUNCATE_WAIT_MILLISECONDS,
    ) -> None:
        self._path = f"{path}-wal"
        self._truncate_bytes = self._next_bytes = truncate_bytes
        self._wait_milliseconds = wait_milliseconds

    def truncate_if_long(self, driver: Any) -> None:
        """Truncate the log if it is large. `driver` is a connection that has just committed. Never raises."""
        try:
            size = os.stat(self._path).st_size
        except OSError:
            size = 0
        if size >= self._next_bytes:
            self._next_bytes = self._truncate_bytes if self._truncate(driver) else size + self._truncate_bytes

    def _truncate(self, driver: Any) -> bool:
        try:
            (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
            driver.execute(f"PRAGMA busy_timeout={self._wait_milliseconds}")
            try:
                busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout={before}")
        except Exception as error:
            logger.warning("the write-ahead log cannot be truncated: %s", error, extra={"error": str(error)})
            return False
        return not busy
