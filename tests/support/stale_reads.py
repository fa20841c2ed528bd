"""A reader whom a change overtakes: what it has read is of before."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from flask_tenant_provisioning.database.session import Storage


class InterleavedStorage:
    """A storage that reads, and returns the rows only after a concurrent writer has done `concurrent_write`."""

    def __init__(self, storage: Storage, meanwhile: Callable[[], object]) -> None:
        self._storage, self._meanwhile = storage, meanwhile
        self.clock, self.current_session, self.transaction = storage.clock, None, storage.transaction

    def read(self, work: Any) -> Any:
        rows = self._storage.read(work)
        thread = threading.Thread(target=self._meanwhile)
        thread.start()
        thread.join()
        return rows
