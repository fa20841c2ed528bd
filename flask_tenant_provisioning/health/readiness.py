"""The readiness of a process: its database responds, and has the tables of this version."""

from __future__ import annotations

import logging
import time

from sqlalchemy import String, column, select, table

from ..cache import TTLCache
from ..database.revisions import REVISIONS, name_version_table
from ..database.session import Session, Storage
from ..database.statements import Statement
from ..errors import StorageUnavailable
from ..mount import Mount

logger = logging.getLogger(__name__)
#: Seconds for which a process remembers that it is ready, so that probes cost the database little.
READY_SECONDS = 1.0


class Readiness:
    """Checks whether one mount is ready, at most once per `READY_SECONDS` while it is."""

    def __init__(self, mount: Mount) -> None:
        self._storage = mount.storage
        self._ready: TTLCache[str, bool] = TTLCache(time.monotonic, READY_SECONDS)

    def check(self) -> None:
        """Raise `StorageUnavailable` unless the database answers and the tables are those of this version.

        Tables of a later version are accepted: during an update, processes of the old one still serve.
        """
        if self._ready.get("") is None:
            self._ready.load("", self._check)

    def _check(self) -> bool:
        revision = self._storage.read(_read_revision)
        if revision is None or revision in REVISIONS[:-1]:
            logger.error(
                "not ready: the tables have the revision %s, and this version needs %s: run flask provisioning db "
                "upgrade",
                revision,
                REVISIONS[-1],
                extra={"revision": revision, "needed": REVISIONS[-1]},
            )
            raise StorageUnavailable("The database is not ready.")
        return True


class _RevisionSQL:
    """The query of the tables' revision."""

    def __init__(self, storage: Storage) -> None:
        versions = table(name_version_table(storage.metadata.info["prefix"]), column("version_num", String))
        self.revision = Statement(select(versions.c.version_num), storage.engine.dialect)


def _read_revision(session: Session) -> str | None:
    row = session.run(session.storage.once(_RevisionSQL).revision, {}).fetchone()
    return None if row is None else str(row[0])
