"""Jobs that are past their time, removed with their rows and results."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..database import Session, Storage, instant
from .receiving import remove
from .statements import BulkSQL

_BATCH = 100
#: After how many days an upload that nobody ends is taken for one whose process has died.
_ABANDONED = 1


def remove_old(storage: Storage, days: int) -> int:
    """Remove jobs that ended and were begun more than `days` ago, and uploads that broke off; returns how many."""
    count = 0
    for name, age in (("old_jobs", days), ("abandoned", _ABANDONED)):
        before = instant(storage.clock(), days=-age)
        while found := storage.read(partial(_old, name=name, before=before)):
            for partner, job_id in found:
                storage.transaction(partial(remove, partner=partner, job_id=job_id))
            count += len(found)
    return count


def _old(session: Session, name: str, before: str) -> list[tuple[Any, ...]]:
    statement = getattr(session.storage.once(BulkSQL), name)
    found: list[tuple[Any, ...]] = session.run(statement, {"before": before, "limit": _BATCH}).fetchall()
    return found
