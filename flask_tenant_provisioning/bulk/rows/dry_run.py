"""Dry runs: each chunk leaves nothing but its results, and what later chunks need to detect duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from ...database.session import Session
from ...errors import DuplicateRow
from ..models import Job
from ..results import RowResult
from .duplicates import load_first_rows, try_save_first_rows
from .operations import RowContext, RowStrategy, ValidatedRow


class RollbackWithResults(Exception):
    """Ends a transaction that is to leave nothing.

    `results` are those of each chunk's rows; `meant` says of tenants, and of what new ones would have, which row was
    the first to mean it.
    """

    def __init__(self, results: list[list[RowResult]], meant: Mapping[str, int]) -> None:
        super().__init__()
        self.results, self.meant = results, meant


class DryRunConflict(Exception):
    """Another chunk means the same, and was faster: the rehearsal begins again."""


def execute_dry_run(
    session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow], way: RowStrategy
) -> list[RowResult]:
    """Do rows in this `way`, but those that would make a tenant like one that another chunk's row would have made."""
    before = load_first_rows(session, job, {key for one in rows for _, key in _hash_claims(one)})
    refused = {one.row.number: result for one in rows if (result := _refuse_duplicate(one, before)) is not None}
    left = [one for one in rows if one.row.number not in refused]
    found = {result.row: result for result in way(session, setting, job, left)} | refused
    return [found[one.row.number] for one in rows]


def collect_claims(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> Iterator[tuple[str, int]]:
    """What these rows mean: the tenants that were there before, and what new ones would hold alone.

    Of rows with a key of their own nothing is said: the same row may come again in another chunk.
    """
    for one, result in zip(rows, results, strict=True):
        if result.state == "failed" or one.key is not None:
            continue
        if result.status == 201:
            yield from ((key, one.row.number) for _, key in _hash_claims(one))
        elif result.tenant is not None:
            yield result.tenant, one.row.number


def save_claims(session: Session, job: Job, rehearsal: RollbackWithResults) -> None:
    """Let the chunks that follow know of it. Raises `Forestalled`."""
    if not try_save_first_rows(session, job, rehearsal.meant):
        raise DryRunConflict


def _refuse_duplicate(one: ValidatedRow, before: Mapping[str, int]) -> RowResult | None:
    """The result of a row that wants what another chunk's row has got; None for any other, or one sent again."""
    if one.key is None:
        for field, key in _hash_claims(one):
            if key in before:
                first = before[key]
                return one.refused(DuplicateRow(f"Row {first} has the same {field}.", first_row=first))
    return None


def _hash_claims(one: ValidatedRow) -> Iterator[tuple[str, str]]:
    """What a tenant that the row makes would hold alone, each by its field's name, and by a key that fits."""
    values = (one.act.values if one.act is not None else None) or {}
    for field, name in (("email", "email_key"), ("external id", "external_id")):
        if values.get(name) is not None:
            yield field, hashlib.sha256(f"{name}\n{values[name]}".encode()).hexdigest()
