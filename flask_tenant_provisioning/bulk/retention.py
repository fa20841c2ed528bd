"""Jobs that are past their time, removed with their rows and results; and those of partners who keep too many."""

from __future__ import annotations

from functools import partial
from typing import Any

from ..database import Session, Storage, instant
from .models import Job
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


def drop_beyond(storage: Storage, budget: int) -> int:
    """Drop rows and results of each partner's oldest ended jobs until the others take `budget` bytes at most.

    A job that was cancelled is removed as a whole, since it cannot be resumed without them. Returns how many jobs.
    """
    count = 0
    for (partner,) in storage.read(partial(_beyond, budget=budget)):
        left = budget
        for job_id, size in storage.read(partial(_kept, partner=partner)):
            left -= int(size)
            if left < 0:
                count += storage.transaction(partial(_drop, partner=partner, job_id=job_id))
    return count


def _beyond(session: Session, budget: int) -> list[tuple[Any, ...]]:
    """The partners whose jobs, ended or not, have more bytes than this."""
    found: list[tuple[Any, ...]] = session.run(
        session.storage.once(BulkSQL).beyond_budget, {"budget": budget}
    ).fetchall()
    return found


def _kept(session: Session, partner: str) -> list[tuple[Any, ...]]:
    """The ended jobs of a partner with the bytes that each has, the newest first."""
    found: list[tuple[Any, ...]] = session.run(
        session.storage.once(BulkSQL).kept_sizes, {"partner_id": partner}
    ).fetchall()
    return found


def _drop(session: Session, partner: str, job_id: str) -> int:
    """Drop what a job has, unless it goes on by now; returns 1 if that was done."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": partner, "job_id": job_id}
    row = session.run(sql.lock_job, where).fetchone()
    if row is None or (job := Job._make(row)).finished_at is None:
        return 0
    if job.state == "cancelled":
        remove(session, partner, job_id)
    else:
        session.run(sql.remove_chunks, where)
    return 1


def _old(session: Session, name: str, before: str) -> list[tuple[Any, ...]]:
    statement = getattr(session.storage.once(BulkSQL), name)
    found: list[tuple[Any, ...]] = session.run(statement, {"before": before, "limit": _BATCH}).fetchall()
    return found
