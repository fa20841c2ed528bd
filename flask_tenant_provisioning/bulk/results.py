"""Results of rows: how they are made, stored compressed with their chunk, and read.

Each chunk is read in a unit of work of its own, so a slow reader holds no transaction open.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..database.session import Session
from ..encoding import dump_json
from ..errors import ProvisioningError
from ..tenants.models import Tenant
from ..web.request import Read
from .models import Chunk, Job
from .statements import BulkSQL

#: Twice as fast as the default, and little larger.
_LEVEL = 1


def compress(data: bytes) -> bytes:
    """`data`, compressed."""
    return zlib.compress(data, _LEVEL)


def decompress(data: bytes) -> bytes:
    """What `packed` was given."""
    return zlib.decompress(data)


def compress_json(value: Any) -> bytes:
    """`value` as JSON, compressed."""
    return compress(dump_json(value).encode())


def decompress_json(data: bytes) -> Any:
    """What `packed_json` was given."""
    return json.loads(decompress(data))


def compress_lines(lines: Sequence[int]) -> bytes | None:
    """The lines on which rows stand; None where each is right behind the other."""
    if not lines or lines[-1] - lines[0] == len(lines) - 1:
        return None
    return compress_json(list(lines))


def decompress_lines(first: int, count: int, lines: bytes | None) -> Sequence[int]:
    """What `packed_lines` was given, of which `first` is the first."""
    return range(first, first + count) if lines is None else decompress_json(lines)


#: ``skipped`` is what an atomic job leaves undone, since some other row of it failed.
RESULT_STATES = ("succeeded", "failed", "unchanged", "skipped")


class RowResult(NamedTuple):
    """What came of one row: `status` is what a single call would have answered, None for a skipped one.

    `problem` holds the code, the detail, and whatever else that answer would say.
    """

    row: int
    state: str
    status: int | None
    tenant: str | None
    external_id: str | None
    problem: dict[str, Any] | None


#: How many entries of `errors` the rows of one chunk, or of one atomic job, keep in all; each row keeps its first.
MAX_ERRORS = 10_000


class ErrorBudget:
    """Room for the errors of many rows: what does not fit is counted in `errors_omitted`."""

    def __init__(self, entries: int = MAX_ERRORS) -> None:
        self._left = entries

    def trim(self, errors: list[Any], members: dict[str, Any]) -> None:
        """Cut a row's `errors` to what there is room for, and count the others among the problem's `members`."""
        if cut := errors[max(self._left, 1) :]:
            del errors[-len(cut) :]
            members["errors_omitted"] = members.get("errors_omitted", 0) + len(cut)
        self._left -= len(errors)


class Tally(NamedTuple):
    """How many rows of a chunk came to what; those that were skipped are in none."""

    succeeded: int
    failed: int
    unchanged: int


def make_success(row: int, status: int, tenant: Tenant, *, is_unchanged: bool = False) -> RowResult:
    """The result of a row that did what it says, or found it done already."""
    return RowResult(row, "unchanged" if is_unchanged else "succeeded", status, tenant.id, tenant.external_id, None)


def make_failure(row: int, line: int, external_id: str | None, error: ProvisioningError) -> RowResult:
    """The result of a row that meets `error`, as somebody who knows the upload by its lines reads it."""
    problem = {"code": error.code, "detail": error.detail, "line": line, **error.members}
    if error.errors:
        problem["errors"] = list(error.errors)
    return RowResult(row, "failed", error.status, None, external_id, problem)


def mark_skipped(result: RowResult) -> RowResult:
    """What an atomic job that failed says of a row that could have been done."""
    if result.state == "failed":
        return result
    return result._replace(state="skipped", status=None, tenant=None)


def tally_results(results: Iterable[RowResult]) -> Tally:
    """Count them by state."""
    counts = dict.fromkeys(RESULT_STATES, 0)
    for result in results:
        counts[result.state] += 1
    return Tally(*(counts[name] for name in Tally._fields))


def estimate_size(result: RowResult) -> int:
    """Return how many bytes of JSON a result has, at least for one that is large."""
    return 200 if result.problem is None else 200 + len(dump_json(result.problem))


def encode_results(results: Sequence[RowResult]) -> bytes:
    """Results as a chunk keeps them, in the order of its rows."""
    return compress_json([[RESULT_STATES.index(one.state), *one[2:]] for one in results])


def decode_results(first_row: int, results: bytes) -> Iterator[RowResult]:
    """The results of a chunk whose first row has this number."""
    for row, (state, *rest) in enumerate(decompress_json(results), first_row):
        yield RowResult(row, RESULT_STATES[state], *rest)


def read_chunks_with_results(read: Read, job: Job, state: str | None) -> Iterator[tuple[Chunk, list[RowResult]]]:
    """Each chunk that is done, with those of its results that are in `state`, or all."""
    first = 1
    while row := read(partial(_load_next_chunk, job=job, state=state, first=first, whole=True)):
        chunk = Chunk._make(row)
        yield chunk, _decode_in_state(state, chunk.first_row, chunk.results or b"")
        first = chunk.first_row + chunk.rows


def read_results(read: Read, job: Job, state: str | None, after: int = 0) -> Iterator[list[RowResult]]:
    """The results in `state`, or all, of each chunk that is done and has rows behind `after`."""
    while row := read(partial(_load_next_chunk, job=job, state=state, first=after + 1, whole=False)):
        first, count, kept = row
        yield [one for one in _decode_in_state(state, first, kept) if one.row > after]
        after = first + count - 1


def _decode_in_state(state: str | None, first: int, kept: bytes) -> list[RowResult]:
    return [one for one in decode_results(first, kept) if state in (None, one.state)]


def _load_next_chunk(session: Session, job: Job, state: str | None, first: int, whole: bool) -> Any:
    """The first chunk with such results, of those with the row `first` or one behind it."""
    statement = session.storage.once(BulkSQL).answered(state, whole=whole)
    where = {"partner_id": job.partner_id, "job_id": job.id, "first": first}
    return session.run(statement, where).fetchone()
