"""What a job's owner sees of it and does with it. Each public function is one unit of work."""

from __future__ import annotations

import itertools
from datetime import datetime
from typing import NamedTuple

from ..database import Session, instant
from ..database.paging import PAGE_BYTES, read_page, row_size
from ..problems import BulkJobNotFound, InvalidState
from . import results
from .models import Job
from .outcomes import results_of
from .receiving import require_room
from .results import Result, Tally
from .statements import BulkSQL


class Seen(NamedTuple):
    """A job as it is at this moment: what came of its rows so far, and how many are done in a second."""

    job: Job
    tally: Tally
    processed: int
    rate: float


def read(session: Session, partner: str | None, job_id: str) -> Seen:
    """The job with this id of `partner`, or of anybody where that is None. Raises `BulkJobNotFound`."""
    return seen(session, _found(session, partner, job_id))


def page(
    session: Session, partner: str | None, state: str | None, limit: int, after: str | None
) -> tuple[list[Seen], str | None]:
    """Jobs before the one with the id `after`, the newest first; the last id where more follow."""
    sql = session.storage.once(BulkSQL)

    def rows(count: int, place: str | None) -> list[Job]:
        statement = sql.page(of_partner=partner is not None, in_state=state is not None, after=place is not None)
        wanted = {"partner_id": partner, "state": state, "after": place, "limit": count}
        return [Job._make(row) for row in session.run(statement, wanted).fetchall()]

    found, end = read_page(rows, limit, after, lambda job: job.id, row_size)
    return [seen(session, job) for job in found], end


def cancel(session: Session, partner: str | None, job_id: str) -> Seen:
    """Let no further row of a job be done; a chunk that is being done ends. One that is cancelled stays so.

    Raises `BulkJobNotFound`, and `InvalidState` for a job that has ended.
    """
    job = _locked(session, partner, job_id)
    if job.state == "cancelled":
        return seen(session, job)
    if job.finished_at is not None:
        raise InvalidState("A job that has ended cannot be cancelled.", job_state=job.state)
    return _changed(session, job, "cancelled", finished_at=instant(session.storage.clock()), due_at=None)


def resume(session: Session, partner: str | None, job_id: str, most_open: int | None = None) -> Seen:
    """Go on with a job that was cancelled; one that goes on does so.

    Raises `BulkJobNotFound`, `InvalidState` for a job that has ended, and `QuotaExceeded` where `most_open` jobs of
    its partner are under way.
    """
    job = _locked(session, partner, job_id)
    if job.finished_at is None:
        return seen(session, job)
    if job.state != "cancelled":
        raise InvalidState("A job that has ended cannot be resumed.", job_state=job.state)
    if most_open is not None:
        require_room(session, job.partner_id, most_open)
    state = "running" if job.started_at else "queued"
    session.wake(("bulk", job.partner_id, job.id))
    return _changed(session, job, state, finished_at=None, due_at=instant(session.storage.clock()))


def items(
    session: Session, partner: str | None, job_id: str, state: str | None, limit: int, after: int
) -> tuple[list[Result], int | None]:
    """What came of the rows behind the row `after`, in their order; the last row where more may follow.

    Raises `BulkJobNotFound`.
    """
    job, found, left = _found(session, partner, job_id), list[Result](), PAGE_BYTES
    for one in itertools.chain.from_iterable(results_of(lambda read: read(session), job, state, after)):
        left -= results.size(one)
        if found and (len(found) == limit or left < 0):
            return found, found[-1].row
        found.append(one)
    return found, None


def _found(session: Session, partner: str | None, job_id: str) -> Job:
    sql = session.storage.once(BulkSQL)
    statement, where = (sql.anyones_job, {}) if partner is None else (sql.job, {"partner_id": partner})
    row = session.run(statement, {**where, "job_id": job_id}).fetchone()
    if row is None or (job := Job._make(row)).state == "receiving":
        raise BulkJobNotFound
    return job


def _locked(session: Session, partner: str | None, job_id: str) -> Job:
    job = _found(session, partner, job_id)
    row = session.run(
        session.storage.once(BulkSQL).lock_job, {"partner_id": job.partner_id, "job_id": job.id}
    ).fetchone()
    if row is None:
        raise BulkJobNotFound
    return Job._make(row)


def _changed(session: Session, job: Job, state: str, *, finished_at: str | None, due_at: str | None) -> Seen:
    where = {"partner_id": job.partner_id, "job_id": job.id}
    values = {"new_state": state, "new_finished_at": finished_at, "new_due_at": due_at}
    session.run(session.storage.once(BulkSQL).change_job, {**where, **values})
    return seen(session, job._replace(state=state, finished_at=finished_at, due_at=due_at))


def seen(session: Session, job: Job) -> Seen:
    """A job that was read in this session, with what came of its rows so far."""
    tally, processed = Tally(job.succeeded, job.failed, job.unchanged), job.rows
    if job.state in ("queued", "running", "cancelled"):
        where = {"partner_id": job.partner_id, "job_id": job.id}
        *counts, processed = map(int, session.run(session.storage.once(BulkSQL).counts, where).fetchone())
        tally = Tally(*counts)
    return Seen(job, tally, processed, _rate(job, processed, session.storage.clock()))


def _rate(job: Job, processed: int, now: float) -> float:
    if job.started_at is None:
        return 0.0
    end = now if job.finished_at is None else _seconds(job.finished_at)
    return round(processed / max(end - _seconds(job.started_at), 0.001), 1)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
