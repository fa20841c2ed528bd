"""Actions on bulk jobs, from the upload to the end: receive, queue, list, cancel, resume, finish, remove.

Each public function is one unit of work, except `receive_upload`, which stores each chunk in its own transaction. A job
is hidden from callers until all its rows are stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from ..access.principal import Actor, Principal
from ..config import Config
from ..database.ids import format_instant
from ..database.pages import PAGE_BYTES, measure_row, read_page
from ..database.session import Session, Storage
from ..database.statements import name_new_values
from ..encoding import dump_json
from ..errors import BulkJobNotFound, InvalidState, QuotaExceeded
from ..events.actions import build_event, record_event
from . import results
from .models import Job
from .results import RowResult, Tally, compress, compress_lines, read_results
from .rows.parsing import make_column_predicate
from .statements import BulkSQL
from .upload.limits import UploadFormatError, UploadLimits
from .upload.reader import UploadChunk, read_chunks

#: How many rows a chunk has: a worker does them in a second or less, and another one in the next.
CHUNK_ROWS = 1000
WORKER_SUBJECT = "provisioning-worker"


class Upload(NamedTuple):
    """What is sent, and what is to be done with it."""

    operation: str
    mode: str
    rehearsal: bool
    media_type: str
    encoding: str | None
    stream: Iterable[bytes]
    #: Makes the text that is meant of a table's cell, where the two differ.
    restore: Callable[[str], str] | None = None


def get_upload_limits(settings: Config, mode: str) -> UploadLimits:
    """How much the upload of a job in this mode may be."""
    rows, size = settings.bulk_max_rows, settings.bulk_max_bytes
    if mode == "atomic":
        size = min(size, settings.bulk_atomic_bytes)
        return UploadLimits(min(rows, settings.bulk_atomic_rows), size, rows_bytes=size)
    return UploadLimits(rows, size)


def require_job_quota(session: Session, partner: str, most: int) -> None:
    """Raise `QuotaExceeded` where so many jobs of `partner` are under way.

    Until the transaction ends no other one counts them: what it adds is within the limit.
    """
    session.lock_name(f"{session.storage.table('bulk_jobs').name} {partner}")
    (count,) = session.run(session.storage.once(BulkSQL).count_open_jobs, {"partner_id": partner}).fetchone()
    if count >= most:
        raise QuotaExceeded(f"{most} bulk jobs are under way: wait until one has ended.", limit=most)


def receive_upload(
    storage: Storage,
    actor: Actor,
    partner: str,
    upload: Upload,
    limits: UploadLimits,
    most_open: int | None = None,
) -> Job:
    """Store all that is sent, as a job that waits to be `queued`. What fails leaves nothing.

    Raises `QuotaExceeded`, before anything is read, where `most_open` jobs of the partner are under way;
    `MalformedUpload`, also for an upload without any rows, and `UploadTooLarge`.
    """
    job = _new_job(storage, actor, partner, upload)
    storage.transaction(partial(_insert_job, job=job, most_open=most_open))
    rows = count = 0
    try:
        is_column = make_column_predicate(upload.operation, storage.hooks.fields)
        read = read_chunks(
            upload.stream,
            upload.media_type,
            upload.encoding,
            limits,
            CHUNK_ROWS,
            is_column=is_column,
            restore=upload.restore,
        )
        for count, chunk in enumerate(read, 1):
            storage.transaction(partial(_insert_chunk, job=job, number=count, chunk=chunk))
            rows += len(chunk.lines)
        if not rows:
            raise UploadFormatError("The upload has no rows.")
    except BaseException:
        storage.transaction(partial(remove_job, partner=partner, job_id=job.id))
        raise
    return job._replace(rows=rows, chunks=count)


def queue_job(session: Session, job: Job) -> Job:
    """Let workers find a job that has been received."""
    at = format_instant(session.storage.clock())
    counts = {"new_rows": job.rows, "new_chunks": job.chunks}
    where = {"partner_id": job.partner_id, "job_id": job.id}
    session.run(session.storage.once(BulkSQL).queue, {**where, "now": at, **counts})
    session.notify_worker(("bulk", job.partner_id, job.id))
    return job._replace(state="queued", due_at=at)


def remove_job(session: Session, partner: str, job_id: str) -> None:
    """Remove a job with all that belongs to it."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": partner, "job_id": job_id}
    for statement in (sql.remove_keys, sql.remove_chunks, sql.remove_job):
        session.run(statement, where)


def _new_job(storage: Storage, actor: Actor, partner: str, upload: Upload) -> Job:
    who = actor.principal
    return Job(
        partner_id=partner,
        id=storage.new_id(),
        operation=upload.operation,
        mode=upload.mode,
        rehearsal=int(upload.rehearsal),
        cells=int(upload.media_type == "text/csv"),
        state="receiving",
        rows=0,
        chunks=0,
        succeeded=0,
        failed=0,
        unchanged=0,
        actor=dump_json([who.subject, who.partner, actor.request_id, actor.address, actor.user_agent]),
        created_at=format_instant(storage.clock()),
        started_at=None,
        finished_at=None,
        due_at=None,
    )


def _insert_job(session: Session, job: Job, most_open: int | None) -> None:
    """Add a job, if the partner may have one more under way. Raises `QuotaExceeded`."""
    if most_open is not None:
        require_job_quota(session, job.partner_id, most_open)
    session.run(session.storage.once(BulkSQL).add_job, job._asdict())


def _insert_chunk(session: Session, job: Job, number: int, chunk: UploadChunk) -> None:
    row = {
        "partner_id": job.partner_id,
        "job_id": job.id,
        "number": number,
        "first_row": chunk.first_row,
        "rows": len(chunk.lines),
        "first_line": chunk.lines[0],
        "lines": compress_lines(chunk.lines),
        "payload": compress(chunk.payload),
        "fence": 0,
        "leased_until": None,
        "license_room": 0,
        "partner_room": 0,
        "done_at": None,
        "succeeded": 0,
        "failed": 0,
        "unchanged": 0,
        "results": None,
    }
    session.run(session.storage.once(BulkSQL).add_chunk, row)


class JobProgress(NamedTuple):
    """A job as it is at this moment: what came of its rows so far, and how many are done in a second."""

    job: Job
    tally: Tally
    processed: int
    rate: float


def load_progress(session: Session, partner: str | None, job_id: str) -> JobProgress:
    """The job with this id of `partner`, or of anybody where that is None. Raises `BulkJobNotFound`."""
    return measure_progress(session, _load_job(session, partner, job_id))


def list_jobs(
    session: Session, partner: str | None, state: str | None, limit: int, after: str | None
) -> tuple[list[JobProgress], str | None]:
    """Jobs before the one with the id `after`, the newest first; the last id where more follow."""
    sql = session.storage.once(BulkSQL)

    def rows(count: int, place: str | None) -> list[Job]:
        statement = sql.page(of_partner=partner is not None, in_state=state is not None, after=place is not None)
        wanted = {"partner_id": partner, "state": state, "after": place, "limit": count}
        return [Job._make(row) for row in session.run(statement, wanted).fetchall()]

    found, end = read_page(rows, limit, after, lambda job: job.id, measure_row)
    return [measure_progress(session, job) for job in found], end


def cancel_job(session: Session, partner: str | None, job_id: str) -> JobProgress:
    """Let no further row of a job be done; a chunk that is being done ends. One that is cancelled stays so.

    Raises `BulkJobNotFound`, and `InvalidState` for a job that has ended.
    """
    job = _lock_job(session, partner, job_id)
    if job.state == "cancelled":
        return measure_progress(session, job)
    if job.finished_at is not None:
        raise InvalidState("A job that has ended cannot be cancelled.", job_state=job.state)
    return _update_job(session, job, "cancelled", finished_at=format_instant(session.storage.clock()), due_at=None)


def resume_job(session: Session, partner: str | None, job_id: str, most_open: int | None = None) -> JobProgress:
    """Go on with a job that was cancelled; one that goes on does so.

    Raises `BulkJobNotFound`, `InvalidState` for a job that has ended, and `QuotaExceeded` where `most_open` jobs of
    its partner are under way.
    """
    job = _lock_job(session, partner, job_id)
    if job.finished_at is None:
        return measure_progress(session, job)
    if job.state != "cancelled":
        raise InvalidState("A job that has ended cannot be resumed.", job_state=job.state)
    if most_open is not None:
        require_job_quota(session, job.partner_id, most_open)
    state = "running" if job.started_at else "queued"
    session.notify_worker(("bulk", job.partner_id, job.id))
    return _update_job(session, job, state, finished_at=None, due_at=format_instant(session.storage.clock()))


def list_results(
    session: Session, partner: str | None, job_id: str, state: str | None, limit: int, after: int
) -> tuple[list[RowResult], int | None]:
    """What came of the rows behind the row `after`, in their order; the last row where more may follow.

    Raises `BulkJobNotFound`.
    """
    job, found, left = _load_job(session, partner, job_id), list[RowResult](), PAGE_BYTES
    for one in itertools.chain.from_iterable(read_results(lambda read: read(session), job, state, after)):
        left -= results.estimate_size(one)
        if found and (len(found) == limit or left < 0):
            return found, found[-1].row
        found.append(one)
    return found, None


def _load_job(session: Session, partner: str | None, job_id: str) -> Job:
    sql = session.storage.once(BulkSQL)
    statement, where = (sql.job_of_any_partner, {}) if partner is None else (sql.job, {"partner_id": partner})
    row = session.run(statement, {**where, "job_id": job_id}).fetchone()
    if row is None or (job := Job._make(row)).state == "receiving":
        raise BulkJobNotFound
    return job


def _lock_job(session: Session, partner: str | None, job_id: str) -> Job:
    job = _load_job(session, partner, job_id)
    row = session.run(
        session.storage.once(BulkSQL).lock_job, {"partner_id": job.partner_id, "job_id": job.id}
    ).fetchone()
    if row is None:
        raise BulkJobNotFound
    return Job._make(row)


def _update_job(session: Session, job: Job, state: str, *, finished_at: str | None, due_at: str | None) -> JobProgress:
    where = {"partner_id": job.partner_id, "job_id": job.id}
    values = {"new_state": state, "new_finished_at": finished_at, "new_due_at": due_at}
    session.run(session.storage.once(BulkSQL).change_job, {**where, **values})
    return measure_progress(session, job._replace(state=state, finished_at=finished_at, due_at=due_at))


def measure_progress(session: Session, job: Job) -> JobProgress:
    """A job that was read in this session, with what came of its rows so far."""
    tally, processed = Tally(job.succeeded, job.failed, job.unchanged), job.rows
    if job.state in ("queued", "running", "cancelled"):
        where = {"partner_id": job.partner_id, "job_id": job.id}
        *counts, processed = map(int, session.run(session.storage.once(BulkSQL).counts, where).fetchone())
        tally = Tally(*counts)
    return JobProgress(job, tally, processed, _rows_per_second(job, processed, session.storage.clock()))


def _rows_per_second(job: Job, processed: int, now: float) -> float:
    if job.started_at is None:
        return 0.0
    end = now if job.finished_at is None else _to_timestamp(job.finished_at)
    return round(processed / max(end - _to_timestamp(job.started_at), 0.001), 1)


def _to_timestamp(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def finish_if_done(session: Session, job: Job) -> bool:
    """End the job if nothing of it is left to do, unless that has happened; whether it was so."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": job.partner_id, "job_id": job.id}
    if session.run(sql.left, where).fetchone() is not None:
        return False
    row = session.run(sql.lock_job, where).fetchone()
    if row is None or Job._make(row).finished_at is not None:
        return False
    *counts, _ = session.run(sql.counts, where).fetchone()
    _finish_job(session, Job._make(row), Tally(*map(int, counts)))
    return True


def lock_if_open(session: Session, job: Job) -> bool:
    """Whether nobody has cancelled the job, or can until the transaction ends."""
    where = {"partner_id": job.partner_id, "job_id": job.id}
    row = session.run(session.storage.once(BulkSQL).lock_job, where).fetchone()
    return row is not None and Job._make(row).finished_at is None


def decide_state(job: Job, tally: Tally) -> str:
    """The state in which a job ends whose rows came to this."""
    if not tally.failed:
        return "succeeded"
    return "partial" if tally.succeeded or tally.unchanged else "failed"


def _finish_job(session: Session, job: Job, tally: Tally) -> None:
    sql, at = session.storage.once(BulkSQL), format_instant(session.storage.clock())
    values: dict[str, Any] = {"state": decide_state(job, tally), "finished_at": at, "due_at": None, **tally._asdict()}
    after = job._replace(**values)
    where = {"partner_id": job.partner_id, "job_id": job.id}
    session.run(sql.end, {**where, **name_new_values(values)})
    session.run(sql.remove_keys, where)
    actor = Actor(Principal(WORKER_SUBJECT, job.partner_id))
    record_event(
        session,
        build_event(session.storage, actor, "bulk_job.finished", job.partner_id, describe_finished_job(after), at),
    )


def describe_finished_job(job: Job) -> dict[str, Any]:
    """A job that has ended, as its event tells of it."""
    return {
        "job": job.id,
        "operation": job.operation,
        "mode": job.mode,
        "state": job.state,
        "total": job.rows,
        **{name: getattr(job, name) for name in Tally._fields},
    }
