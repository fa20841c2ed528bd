"""What came of a bulk job, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from ...bulk import actions
from ...bulk.actions import Seen
from ...bulk.ending import told
from ...bulk.results import Result
from ...bulk.sheets import explained
from ...web.mount import Mount
from ...web.parameters import LARGEST_PAGE
from ..output import Table, room, say, say_json

COLUMNS = ("row", "line", "code", "detail", "external_id")
#: How many rows that failed people are shown.
SHOWN = 20


def say_outcome(mount: Mount, seen: Seen, *, as_json: bool) -> None:
    """Print what came of the rows, and which of them failed: the first ones, or in JSON all, one a line."""
    if as_json:
        say_json({**told(seen.job), **seen.tally._asdict()})
        for result in failures(mount, seen, LARGEST_PAGE):
            say_json(result._asdict())
        return
    say(_summary(seen))
    if seen.tally.failed:
        _say_failures(mount, seen)


def failures(mount: Mount, seen: Seen, page: int) -> Iterator[Result]:
    """Every row that failed, read so many at a time."""
    job, after = seen.job, 0
    while True:
        work = partial(actions.items, partner=job.partner_id, job_id=job.id, state="failed", limit=page, after=after)
        found, end = mount.storage.read(work)
        yield from found
        if end is None:
            return
        after = end


def _summary(seen: Seen) -> str:
    job, tally = seen.job, seen.tally
    undone = job.rows - sum(tally)
    parts = [f"{tally.succeeded:,} {_done(seen)}", f"{tally.unchanged:,} unchanged", f"{tally.failed:,} failed"]
    parts += [f"{undone:,} not done"] if undone else []
    return f"{job.rows:,} {'row' if job.rows == 1 else 'rows'}: {', '.join(parts)}.\nJob {job.id}: {job.state}."


def _done(seen: Seen) -> str:
    return "would succeed" if seen.job.rehearsal else "succeeded"


def _say_failures(mount: Mount, seen: Seen) -> None:
    first = [_row(result) for result, _ in zip(failures(mount, seen, SHOWN), range(SHOWN), strict=False)]
    say("\n" + "\n".join(Table(COLUMNS, room()).lines(first)))
    if seen.tally.failed > SHOWN:
        say(f"There are {seen.tally.failed - SHOWN:,} more: --resume {seen.job.id} --json lists them all.", err=True)


def _row(result: Result) -> dict[str, Any]:
    problem = result.problem or {}
    return {
        "row": result.row,
        "line": problem.get("line"),
        "code": problem.get("code"),
        "detail": explained(problem),
        "external_id": result.external_id,
    }
