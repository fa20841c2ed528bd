"""What came of a job's rows, chunk by chunk in their order, with the chunks' own rows or without.

Each chunk is read by itself: where that is a unit of work each time, a slow reader holds up nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ..database import Session
from ..web.call import Read
from . import results
from .models import Chunk, Job
from .results import Result
from .statements import BulkSQL


def outcomes(read: Read, job: Job, state: str | None) -> Iterator[tuple[Chunk, list[Result]]]:
    """Each chunk that is done, with those of its results that are in `state`, or all."""
    first = 1
    while row := read(partial(_next, job=job, state=state, first=first, whole=True)):
        chunk = Chunk._make(row)
        yield chunk, _in(state, chunk.first_row, chunk.results or b"")
        first = chunk.first_row + chunk.rows


def results_of(read: Read, job: Job, state: str | None, after: int = 0) -> Iterator[list[Result]]:
    """The results in `state`, or all, of each chunk that is done and has rows behind `after`."""
    while row := read(partial(_next, job=job, state=state, first=after + 1, whole=False)):
        first, count, kept = row
        yield [one for one in _in(state, first, kept) if one.row > after]
        after = first + count - 1


def _in(state: str | None, first: int, kept: bytes) -> list[Result]:
    return [one for one in results.read(first, kept) if state in (None, one.state)]


def _next(session: Session, job: Job, state: str | None, first: int, whole: bool) -> Any:
    """The first chunk with such results, of those with the row `first` or one behind it."""
    statement = session.storage.once(BulkSQL).answered(state, whole=whole)
    where = {"partner_id": job.partner_id, "job_id": job.id, "first": first}
    return session.run(statement, where).fetchone()
