"""What came of each row of a chunk, as it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from ..events import compact
from ..problems import ProvisioningError
from ..tenants.models import Tenant
from .packing import packed_json, unpacked_json

#: ``skipped`` is what an atomic job leaves undone, since some other row of it failed.
STATES = ("succeeded", "failed", "unchanged", "skipped")


class Result(NamedTuple):
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
MOST_ERRORS = 10_000


class ErrorRoom:
    """Room for the errors of many rows: what does not fit is counted in `errors_omitted`."""

    def __init__(self, entries: int = MOST_ERRORS) -> None:
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


def done(row: int, status: int, tenant: Tenant, *, is_unchanged: bool = False) -> Result:
    """The result of a row that did what it says, or found it done already."""
    return Result(row, "unchanged" if is_unchanged else "succeeded", status, tenant.id, tenant.external_id, None)


def refused(row: int, line: int, external_id: str | None, error: ProvisioningError) -> Result:
    """The result of a row that meets `error`, as somebody who knows the upload by its lines reads it."""
    problem = {"code": error.code, "detail": error.detail, "line": line, **error.members}
    if error.errors:
        problem["errors"] = list(error.errors)
    return Result(row, "failed", error.status, None, external_id, problem)


def skipped(result: Result) -> Result:
    """What an atomic job that failed says of a row that could have been done."""
    if result.state == "failed":
        return result
    return result._replace(state="skipped", status=None, tenant=None)


def tallied(results: Iterable[Result]) -> Tally:
    """Count them by state."""
    counts = dict.fromkeys(STATES, 0)
    for result in results:
        counts[result.state] += 1
    return Tally(*(counts[name] for name in Tally._fields))


def size(result: Result) -> int:
    """Return how many bytes of JSON a result has, at least for one that is large."""
    return 200 if result.problem is None else 200 + len(compact(result.problem))


def kept(results: Sequence[Result]) -> bytes:
    """Results as a chunk keeps them, in the order of its rows."""
    return packed_json([[STATES.index(one.state), *one[2:]] for one in results])


def read(first_row: int, results: bytes) -> Iterator[Result]:
    """The results of a chunk whose first row has this number."""
    for row, (state, *rest) in enumerate(unpacked_json(results), first_row):
        yield Result(row, STATES[state], *rest)
