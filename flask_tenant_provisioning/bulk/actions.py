"""Actions on bulk jobs, from the upload to the end: receive, queue, list, cancel, resume, finish, remove.

What takes a `Session` runs in the caller's unit of work; `receive_upload` takes a `Storage` and stores each chunk in a
transaction of its own. A job is hidden from callers until all its rows are stored.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from ..access.principal import WORKER_SUBJECT, Actor, Principal
from ..config import Config
from ..database.ids import format_instant
from ..database.pages import PAGE_BYTES, measure_row, read_page
from ..database.session import Session, Storage
from ..database.statements import name_new_values
from ..encoding import dump_json
from ..errors import BulkJobNotFound, InvalidState, QuotaExceeded
from ..events.actions import build_event, record_event
from . import results
from .models import BULK_WORK, Job
from .results import RowResult, Tally, compress, compress_lines, read_results
from .rows.parsing import make_column_predicate
from .statements import BulkSQL
from .upload.limits import UploadFormatError, UploadLimits
from .upload.reader import UploadChunk, read_chunks

#: Rows per chunk. A worker executes a chunk in a second or less, and then chooses a partner again.
CHUNK_ROWS = 1000


class Upload(NamedTuple):
    """The rows to import, as a stream of bytes, and how to execute them."""

    operation: str
    mode: str
    dry_run: bool
    media_type: str
    encoding: str | None
    stream: Iterable[bytes]
    #: Maps a CSV cell to the text that it stands for, such as one without a spreadsheet's escaping.
    restore: Callable[[str], str] | None = None


def get_upload_limits(config: Config, mode: str) -> UploadLimits:
    """Return the limits for the upload of a job in `mode`."""
    rows, size = config.bulk_max_rows, config.bulk_max_bytes
    if mode == "atomic":
        size = min(size, config.bulk_atomic_bytes)
        return UploadLimits(min(rows, config.bulk_atomic_rows), size, max_rows_bytes=size)
    return UploadLimits(rows, size)


def require_job_quota(session: Session, partner: str, max_open_jobs: int) -> None:
    """Raise `QuotaExceeded` if `partner` already has `max_open_jobs` open jobs.

    Holds a lock until the transaction ends, so that concurrent uploads cannot exceed the quota together.
    """
    session.lock_name(f"{session.storage.table('bulk_jobs').name} {partner}")
    (count,) = session.run(session.storage.once(BulkSQL).count_open_jobs, {"partner_id": partner}).fetchone()
    if count >= max_open_jobs:
        detail = f"{max_open_jobs} bulk jobs are in progress. Wait until one has ended."
        raise QuotaExceeded(detail, limit=max_open_jobs)


def receive_upload(
    storage: Storage,
    actor: Actor,
    partner: str,
    upload: Upload,
    limits: UploadLimits,
    max_open_jobs: int | None = None,
) -> Job:
    """Store an upload as a hidden job that `queue_job` makes visible. On failure the job is removed.

    Raises `QuotaExceeded`, before reading anything, if the partner already has `max_open_jobs` open jobs;
    `UploadFormatError`, also for an upload without rows; and `UploadLimitError`.
    """
    job = _new_job(storage, actor, partner, upload)
    storage.transaction(partial(_insert_job, job=job, max_open_jobs=max_open_jobs))
    rows = count = 0
    try:
        is_column = make_column_predicate(upload.operation, storage.registry.fields)
        chunks = read_chunks(
            upload.stream,
            upload.media_type,
            upload.encoding,
            limits,
            CHUNK_ROWS,
            is_column=is_column,
            restore=upload.restore,
        )
        for count, chunk in enumerate(chunks, 1):
            storage.transaction(partial(_insert_chunk, job=job, number=count, chunk=chunk))
            rows += len(chunk.lines)
        if not rows:
            raise UploadFormatError("The upload has no rows.")
    except BaseException:
        storage.transaction(partial(remove_job, partner=partner, job_id=job.id))
        raise
    return job._replace(rows=rows, chunks=count)


def queue_job(session: Session, job: Job) -> Job:
    """Make a received job visible and available to workers."""
    at = format_instant(session.storage.clock())
    counts = {"new_rows": job.rows, "new_chunks": job.chunks}
    session.run(session.storage.once(BulkSQL).queue_job, {**job.key, "now": at, **counts})
    session.notify_worker((BULK_WORK, job.partner_id, job.id))
    return job._replace(state="queued", due_at=at)


def remove_job(session: Session, partner: str, job_id: str) -> None:
    """Remove a job with its chunks and keys."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": partner, "job_id": job_id}
    for statement in (sql.remove_keys, sql.remove_chunks, sql.remove_job):
        session.run(statement, where)


def _new_job(storage: Storage, actor: Actor, partner: str, upload: Upload) -> Job:
    principal = actor.principal
    return Job(
        partner_id=partner,
        id=storage.new_id(),
        operation=upload.operation,
        mode=upload.mode,
        rehearsal=int(upload.dry_run),
        cells=int(upload.media_type == "text/csv"),
        state="receiving",
        rows=0,
        chunks=0,
        succeeded=0,
        failed=0,
        unchanged=0,
        actor=dump_json([principal.subject, principal.partner, actor.request_id, actor.address, actor.user_agent]),
        created_at=format_instant(storage.clock()),
        started_at=None,
        finished_at=None,
        due_at=None,
        traceparent=storage.telemetry.get_traceparent(),
    )


def _insert_job(session: Session, job: Job, max_open_jobs: int | None) -> None:
    """Insert a job if the partner's quota allows one more. Raises `QuotaExceeded`."""
    if max_open_jobs is not None:
        require_job_quota(session, job.partner_id, max_open_jobs)
    session.run(session.storage.once(BulkSQL).add_job, job._asdict())


def _insert_chunk(session: Session, job: Job, number: int, chunk: UploadChunk) -> None:
    row = {
        **job.key,
        "number": number,
        "first_row": chunk.first_row,
        "rows": len(chunk.lines),
        "first_line": chunk.lines[0],
        "lines": compress_lines(chunk.lines),
        "payload": compress(chunk.payload),
        "fence": 0,
        "claims": 0,
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
    """A job with the counts of its finished rows (`tally`, `processed`) and its `rate` in rows per second."""

    job: Job
    tally: Tally
    processed: int
    rate: float


def load_progress(session: Session, partner: str | None, job_id: str) -> JobProgress:
    """Load a job of `partner`, or of any partner if that is None. Raises `BulkJobNotFound`."""
    return measure_progress(session, _load_visible_job(session, partner, job_id))


def list_jobs(
    session: Session, partner: str | None, state: str | None, limit: int, after: str | None
) -> tuple[list[JobProgress], str | None]:
    """List jobs older than the one with the id `after`, newest first.

    Returns the jobs, and the id to continue after, or None on the last page.
    """
    sql = session.storage.once(BulkSQL)

    def load_jobs(count: int, after: str | None) -> list[Job]:
        statement = sql.select_job_page(
            of_partner=partner is not None, in_state=state is not None, after=after is not None
        )
        parameters = {"partner_id": partner, "state": state, "after": after, "limit": count}
        return [Job._make(row) for row in session.run(statement, parameters).fetchall()]

    jobs, last_id = read_page(load_jobs, limit, after, lambda job: job.id, measure_row)
    return [measure_progress(session, job) for job in jobs], last_id


def cancel_job(session: Session, partner: str | None, job_id: str) -> JobProgress:
    """Stop a job after the chunks that are being executed. Cancelling a cancelled job changes nothing.

    Raises `BulkJobNotFound`, and `InvalidState` for a job that has ended otherwise.
    """
    job = _lock_job(session, partner, job_id)
    if job.state == "cancelled":
        return measure_progress(session, job)
    if job.finished_at is not None:
        raise InvalidState("A job that has ended cannot be cancelled.", job_state=job.state)
    return _update_job(session, job, "cancelled", finished_at=format_instant(session.storage.clock()), due_at=None)


def resume_job(session: Session, partner: str | None, job_id: str, max_open_jobs: int | None = None) -> JobProgress:
    """Continue a cancelled job. Resuming a job that is open changes nothing.

    Raises `BulkJobNotFound`, `InvalidState` for a job that has ended without being cancelled, and `QuotaExceeded` if
    the partner already has `max_open_jobs` open jobs.
    """
    job = _lock_job(session, partner, job_id)
    if job.finished_at is None:
        return measure_progress(session, job)
    if job.state != "cancelled":
        raise InvalidState("A job that has ended cannot be resumed.", job_state=job.state)
    if max_open_jobs is not None:
        require_job_quota(session, job.partner_id, max_open_jobs)
    state = "running" if job.started_at else "queued"
    session.notify_worker((BULK_WORK, job.partner_id, job.id))
    return _update_job(session, job, state, finished_at=None, due_at=format_instant(session.storage.clock()))


def list_results(
    session: Session, partner: str | None, job_id: str, state: str | None, limit: int, after: int
) -> tuple[list[RowResult], int | None]:
    """List the results in `state`, or in any state, of rows after the row number `after`.

    Returns the results in row order, and the row number to continue after, or None on the last page. Raises
    `BulkJobNotFound`.
    """
    job, page, bytes_left = _load_visible_job(session, partner, job_id), list[RowResult](), PAGE_BYTES
    for result in itertools.chain.from_iterable(read_results(lambda read: read(session), job, state, after)):
        bytes_left -= results.estimate_size(result)
        if page and (len(page) == limit or bytes_left < 0):
            return page, page[-1].row
        page.append(result)
    return page, None


def load_job(session: Session, partner: str, job_id: str, *, lock: bool = False) -> Job | None:
    """Load a job, also one that is still hidden. Return None if it does not exist.

    With `lock` no other transaction can change the job until this one ends.
    """
    sql = session.storage.once(BulkSQL)
    row = session.run(sql.lock_job if lock else sql.job, {"partner_id": partner, "job_id": job_id}).fetchone()
    return None if row is None else Job._make(row)


def _load_visible_job(session: Session, partner: str | None, job_id: str) -> Job:
    sql = session.storage.once(BulkSQL)
    statement = sql.job_of_any_partner if partner is None else sql.job
    row = session.run(statement, {"partner_id": partner, "job_id": job_id}).fetchone()
    job = None if row is None else Job._make(row)
    if job is None or job.state == "receiving":
        raise BulkJobNotFound
    return job


def _lock_job(session: Session, partner: str | None, job_id: str) -> Job:
    job = load_job(session, _load_visible_job(session, partner, job_id).partner_id, job_id, lock=True)
    if job is None:
        raise BulkJobNotFound
    return job


def _update_job(session: Session, job: Job, state: str, *, finished_at: str | None, due_at: str | None) -> JobProgress:
    values = {"new_state": state, "new_finished_at": finished_at, "new_due_at": due_at}
    session.run(session.storage.once(BulkSQL).change_job, {**job.key, **values})
    return measure_progress(session, job._replace(state=state, finished_at=finished_at, due_at=due_at))


def measure_progress(session: Session, job: Job) -> JobProgress:
    """Return the progress of a job that was loaded in this session."""
    tally, processed = Tally(job.succeeded, job.failed, job.unchanged), job.rows
    if job.state in ("queued", "running", "cancelled"):
        *counts, processed = map(int, session.run(session.storage.once(BulkSQL).tally_chunks, job.key).fetchone())
        tally = Tally(*counts)
    return JobProgress(job, tally, processed, _calculate_rate(job, processed, session.storage.clock()))


def _calculate_rate(job: Job, processed: int, now: float) -> float:
    if job.started_at is None:
        return 0.0
    end = now if job.finished_at is None else _parse_timestamp(job.finished_at)
    return round(processed / max(end - _parse_timestamp(job.started_at), 0.001), 1)


def _parse_timestamp(instant: str) -> float:
    return datetime.fromisoformat(instant).timestamp()


def finish_if_done(session: Session, job: Job) -> bool:
    """Finish the job if all its chunks are done. Return False if chunks are left or the job has already ended."""
    sql = session.storage.once(BulkSQL)
    if session.run(sql.unfinished_chunk, job.key).fetchone() is not None:
        return False
    current = load_job(session, job.partner_id, job.id, lock=True)
    if current is None or current.finished_at is not None:
        return False
    *counts, _ = session.run(sql.tally_chunks, job.key).fetchone()
    _finish_job(session, current, Tally(*map(int, counts)))
    return True


def lock_if_open(session: Session, job: Job) -> bool:
    """Lock the job against cancellation until the transaction ends. Return False if it has ended or was removed."""
    current = load_job(session, job.partner_id, job.id, lock=True)
    return current is not None and current.finished_at is None


def decide_state(job: Job, tally: Tally) -> str:
    """Return the final state of a job with these counts."""
    if not tally.failed:
        return "succeeded"
    return "partial" if tally.succeeded or tally.unchanged else "failed"


def _finish_job(session: Session, job: Job, tally: Tally) -> None:
    sql, at = session.storage.once(BulkSQL), format_instant(session.storage.clock())
    values: dict[str, Any] = {"state": decide_state(job, tally), "finished_at": at, "due_at": None, **tally._asdict()}
    finished = job._replace(**values)
    session.run(sql.finish_job, {**job.key, **name_new_values(values)})
    session.run(sql.remove_keys, job.key)
    actor = Actor(Principal(WORKER_SUBJECT, job.partner_id))
    record_event(
        session,
        build_event(session.storage, actor, "bulk_job.finished", job.partner_id, describe_finished_job(finished), at),
    )


def describe_finished_job(job: Job) -> dict[str, Any]:
    """Return the data of the event `bulk_job.finished`."""
    return {
        "job": job.id,
        "operation": job.operation,
        "mode": job.mode,
        "state": job.state,
        "total": job.rows,
        **{name: getattr(job, name) for name in Tally._fields},
    }
