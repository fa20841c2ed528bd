"""A reader overtaken by a concurrent write: its rows are stale."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask_tenant_provisioning.database.session import Storage


class InterleavedStorage:
    """A storage that reads, and returns the rows only after a concurrent writer has done `concurrent_write`."""

    def __init__(self, storage: Storage, concurrent_write: Callable[[], object]) -> None:
        self._storage, self._concurrent_write = storage, concurrent_write
        self.clock, self.current_session, self.transaction = storage.clock, None, storage.transaction

    def read(self, work: Any) -> Any:
        rows = self._storage.read(work)
        thread = threading.Thread(target=self._concurrent_write)
        thread.start()
        thread.join()
        return rows
