"""All that came of a job's rows, chunk by chunk: each is read by itself, so that a slow reader holds up nobody."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from ..database import Session, Storage
from . import results
from .models import Chunk, Job
from .results import Result
from .statements import BulkSQL


def outcomes(storage: Storage, job: Job, state: str | None) -> Iterator[tuple[Chunk, list[Result]]]:
    """Each chunk that is done, with those of its results that are in `state`, or all; in the order of the rows."""
    first = 1
    while chunk := storage.read(partial(_next, job=job, state=state, first=first)):
        found = results.read(chunk.first_row, chunk.results or b"")
        yield chunk, [one for one in found if state in (None, one.state)]
        first = chunk.first_row + chunk.rows


def _next(session: Session, job: Job, state: str | None, first: int) -> Chunk | None:
    """The first chunk with such results, of those with the row `first` or one behind it."""
    statement = session.storage.once(BulkSQL).answered(state)
    row = session.run(statement, {"partner_id": job.partner_id, "job_id": job.id, "first": first}).fetchone()
    return None if row is None else Chunk._make(row)
