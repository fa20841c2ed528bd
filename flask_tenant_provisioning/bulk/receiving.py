"""Take an upload in: chunk by chunk, each in a transaction of its own, and out of sight until all has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

from ..access import Actor
from ..config import Settings
from ..database import Session, Storage, instant
from ..events import compact
from ..problems import QuotaExceeded
from . import reading
from .columns import columns_of
from .models import Job
from .packing import packed, packed_lines
from .statements import BulkSQL

#: How many rows a chunk has: a worker does them in a second or less, and another one in the next.
CHUNK_ROWS = 1000


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


def limits(settings: Settings, mode: str) -> reading.Limits:
    """How much the upload of a job in this mode may be."""
    rows, size = settings.bulk_max_rows, settings.bulk_max_bytes
    if mode == "atomic":
        size = min(size, settings.bulk_atomic_bytes)
        return reading.Limits(min(rows, settings.bulk_atomic_rows), size, rows_bytes=size)
    return reading.Limits(rows, size)


def require_room(session: Session, partner: str, most: int) -> None:
    """Raise `QuotaExceeded` where so many jobs of `partner` are under way.

    Until the transaction ends no other one counts them: what it adds is within the limit.
    """
    session.hold(f"{session.storage.table('bulk_jobs').name} {partner}")
    (count,) = session.run(session.storage.once(BulkSQL).under_way, {"partner_id": partner}).fetchone()
    if count >= most:
        raise QuotaExceeded(f"{most} bulk jobs are under way: wait until one has ended.", limit=most)


def receive(
    storage: Storage,
    actor: Actor,
    partner: str,
    upload: Upload,
    limits: reading.Limits,
    most_open: int | None = None,
) -> Job:
    """Store all that is sent, as a job that waits to be `queued`. What fails leaves nothing.

    Raises `QuotaExceeded`, before anything is read, where `most_open` jobs of the partner are under way;
    `MalformedUpload`, also for an upload without any rows, and `UploadTooLarge`.
    """
    job = _new(storage, actor, partner, upload)
    storage.transaction(partial(_begin, job=job, most_open=most_open))
    rows = count = 0
    try:
        is_column = columns_of(upload.operation, storage.hooks.fields)
        read = reading.chunks(
            upload.stream,
            upload.media_type,
            upload.encoding,
            limits,
            CHUNK_ROWS,
            is_column=is_column,
            restore=upload.restore,
        )
        for count, chunk in enumerate(read, 1):
            storage.transaction(partial(_stored, job=job, number=count, chunk=chunk))
            rows += len(chunk.lines)
        if not rows:
            raise reading.MalformedUpload("The upload has no rows.")
    except BaseException:
        storage.transaction(partial(remove, partner=partner, job_id=job.id))
        raise
    return job._replace(rows=rows, chunks=count)


def queue(session: Session, job: Job) -> Job:
    """Let workers find a job that has been received."""
    at = instant(session.storage.clock())
    counts = {"new_rows": job.rows, "new_chunks": job.chunks}
    where = {"partner_id": job.partner_id, "job_id": job.id}
    session.run(session.storage.once(BulkSQL).queue, {**where, "now": at, **counts})
    session.wake(("bulk", job.partner_id, job.id))
    return job._replace(state="queued", due_at=at)


def remove(session: Session, partner: str, job_id: str) -> None:
    """Remove a job with all that belongs to it."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": partner, "job_id": job_id}
    for statement in (sql.remove_keys, sql.remove_chunks, sql.remove_job):
        session.run(statement, where)


def _new(storage: Storage, actor: Actor, partner: str, upload: Upload) -> Job:
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
        actor=compact([who.subject, who.partner, actor.request_id, actor.address, actor.user_agent]),
        created_at=instant(storage.clock()),
        started_at=None,
        finished_at=None,
        due_at=None,
    )


def _begin(session: Session, job: Job, most_open: int | None) -> None:
    """Add a job, if the partner may have one more under way. Raises `QuotaExceeded`."""
    if most_open is not None:
        require_room(session, job.partner_id, most_open)
    session.run(session.storage.once(BulkSQL).add_job, job._asdict())


def _stored(session: Session, job: Job, number: int, chunk: reading.Chunk) -> None:
    row = {
        "partner_id": job.partner_id,
        "job_id": job.id,
        "number": number,
        "first_row": chunk.first_row,
        "rows": len(chunk.lines),
        "first_line": chunk.lines[0],
        "lines": packed_lines(chunk.lines),
        "payload": packed(chunk.payload),
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
