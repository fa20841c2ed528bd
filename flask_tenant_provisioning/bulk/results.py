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

#: The zlib level: twice as fast as the default, and hardly larger.
_LEVEL = 1


def compress(data: bytes) -> bytes:
    """Compress bytes with zlib."""
    return zlib.compress(data, _LEVEL)


def decompress(data: bytes) -> bytes:
    """Return the bytes that were given to `compress`."""
    return zlib.decompress(data)


def compress_json(value: Any) -> bytes:
    """Return `value` as compressed JSON."""
    return compress(dump_json(value).encode())


def decompress_json(data: bytes) -> Any:
    """Return the value that was given to `compress_json`."""
    return json.loads(decompress(data))


def compress_lines(lines: Sequence[int]) -> bytes | None:
    """Compress the line numbers of rows. Return None if they are consecutive."""
    if not lines or lines[-1] - lines[0] == len(lines) - 1:
        return None
    return compress_json(list(lines))


def decompress_lines(first: int, count: int, lines: bytes | None) -> Sequence[int]:
    """Return the line numbers of `count` rows, the first of which stands on the line `first`."""
    return range(first, first + count) if lines is None else decompress_json(lines)


#: Rows of an atomic job are ``skipped`` if another row of it failed.
RESULT_STATES = ("succeeded", "failed", "unchanged", "skipped")


class RowResult(NamedTuple):
    """The result of one row. `status` is the HTTP status of the equivalent single call, None for a skipped row.

    `problem` holds the code, the detail and the other members of that call's problem document.
    """

    row: int
    state: str
    status: int | None
    tenant: str | None
    external_id: str | None
    problem: dict[str, Any] | None


#: The most entries of `errors` kept for one chunk, or one atomic job; each row keeps at least its first.
MAX_ERRORS = 10_000


class ErrorBudget:
    """Room for the validation errors of many rows. Errors beyond it are only counted, in `errors_omitted`."""

    def __init__(self, entries: int = MAX_ERRORS) -> None:
        self._left = entries

    def trim(self, errors: list[Any], members: dict[str, Any]) -> None:
        """Cut a row's `errors` to the room left, and count the removed ones in `members`. Both are changed in place."""
        omitted = len(errors) - max(self._left, 1)
        if omitted > 0:
            del errors[-omitted:]
            members["errors_omitted"] = members.get("errors_omitted", 0) + omitted
        self._left -= len(errors)


class Tally(NamedTuple):
    """Counts of rows by result. Skipped rows are not counted."""

    succeeded: int
    failed: int
    unchanged: int


def make_success(row: int, status: int, tenant: Tenant, *, is_unchanged: bool = False) -> RowResult:
    """Return the result of a row that took effect, or of one that found nothing to change."""
    return RowResult(row, "unchanged" if is_unchanged else "succeeded", status, tenant.id, tenant.external_id, None)


def make_failure(row: int, line: int, external_id: str | None, error: ProvisioningError) -> RowResult:
    """Return the result of a row that failed with `error`, with its line in the upload."""
    problem = {"code": error.code, "detail": error.detail, "line": line, **error.members}
    if error.errors:
        problem["errors"] = list(error.errors)
    return RowResult(row, "failed", error.status, None, external_id, problem)


def mark_skipped(result: RowResult) -> RowResult:
    """Return the result of a row that was rolled back with its atomic job. Failures stay as they are."""
    if result.state == "failed":
        return result
    return result._replace(state="skipped", status=None, tenant=None)


def tally_results(results: Iterable[RowResult]) -> Tally:
    """Count results by state."""
    counts = dict.fromkeys(RESULT_STATES, 0)
    for result in results:
        counts[result.state] += 1
    return Tally(*(counts[name] for name in Tally._fields))


def estimate_size(result: RowResult) -> int:
    """Estimate the size of a result as JSON, in bytes. Only large results are measured."""
    return 200 if result.problem is None else 200 + len(dump_json(result.problem))


def encode_results(results: Sequence[RowResult]) -> bytes:
    """Return the results of a chunk, in row order, as compressed JSON."""
    return compress_json([[RESULT_STATES.index(result.state), *result[2:]] for result in results])


def decode_results(first_row: int, results: bytes) -> Iterator[RowResult]:
    """Yield the results that `encode_results` was given, for a chunk whose first row has the number `first_row`."""
    for row, (state, *values) in enumerate(decompress_json(results), first_row):
        yield RowResult(row, RESULT_STATES[state], *values)


def read_chunks_with_results(read: Read, job: Job, state: str | None) -> Iterator[tuple[Chunk, list[RowResult]]]:
    """Yield each finished chunk with its results in `state`, or all of them."""
    first = 1
    while row := read(partial(_load_next_chunk, job=job, state=state, first=first, all_columns=True)):
        chunk = Chunk._make(row)
        yield chunk, _decode_in_state(state, chunk.first_row, chunk.results or b"")
        first = chunk.first_row + chunk.rows


def read_results(read: Read, job: Job, state: str | None, after: int = 0) -> Iterator[list[RowResult]]:
    """Yield, for each finished chunk with rows after `after`, its results in `state`, or all of them."""
    while row := read(partial(_load_next_chunk, job=job, state=state, first=after + 1, all_columns=False)):
        first, count, encoded = row
        yield [result for result in _decode_in_state(state, first, encoded) if result.row > after]
        after = first + count - 1


def _decode_in_state(state: str | None, first: int, encoded: bytes) -> list[RowResult]:
    return [result for result in decode_results(first, encoded) if state in (None, result.state)]


def _load_next_chunk(session: Session, job: Job, state: str | None, first: int, all_columns: bool) -> Any:
    """Load the first finished chunk with such results among the chunks that end at or after the row `first`."""
    statement = session.storage.once(BulkSQL).select_next_chunk(state, all_columns=all_columns)
    return session.run(statement, {**job.key, "first": first}).fetchone()
