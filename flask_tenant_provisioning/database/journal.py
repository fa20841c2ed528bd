"""SQLite's write-ahead log, kept short: where one write follows another, none of them finds it ready to begin anew."""

from __future__ import annotations

import logging
import os
from typing import Any

logger = logging.getLogger(__name__)

#: From how many bytes on it is begun anew; where that fails, it is tried again after so many more.
LONG = 64 << 20
#: For how many milliseconds other processes are waited for, of which one may write or read just then.
PATIENCE = 500


class Journal:
    """The write-ahead log beside the database file at `path`."""

    def __init__(self, path: str | None, long: int = LONG, patience: int = PATIENCE) -> None:
        self._path = f"{path}-wal"
        self._long = self._next = long
        self._patience = patience

    def keep_short(self, driver: Any) -> None:
        """Begin it anew where it has grown long. `driver` is a connection that has just committed. Never fails."""
        size = self._size()
        if size >= self._next:
            self._next = self._long if self._began_anew(driver) else size + self._long

    def _size(self) -> int:
        try:
            return os.stat(self._path).st_size
        except OSError:
            return 0

    def _began_anew(self, driver: Any) -> bool:
        try:
            (before,) = driver.execute("PRAGMA busy_timeout").fetchone()
            driver.execute(f"PRAGMA busy_timeout={self._patience}")
            try:
                busy, _, _ = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                driver.execute(f"PRAGMA busy_timeout={before}")
        except Exception as error:
            logger.warning("the write-ahead log cannot be begun anew: %s", error, extra={"error": str(error)})
            return False
        return not busy
