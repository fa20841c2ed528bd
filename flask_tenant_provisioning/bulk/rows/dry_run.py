"""Dry runs: each chunk leaves nothing but its results, and the keys by which later chunks detect duplicates."""

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
    """Roll the transaction back, and hand its results to the caller.

    `results` holds the row results of each chunk. `claims` maps tenant ids, and hashes of the unique values of new
    tenants, to the first row that refers to them.
    """

    def __init__(self, results: list[list[RowResult]], meant: Mapping[str, int]) -> None:
        super().__init__()
        self.results, self.meant = results, meant


class DryRunConflict(Exception):
    """Another chunk recorded one of the claims first: the dry run starts again."""


def execute_dry_run(
    session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow], way: RowStrategy
) -> list[RowResult]:
    """Execute `rows` by `strategy`, refusing those that would create the same tenant as a row of another chunk."""
    before = load_first_rows(session, job, {key for one in rows for _, key in _hash_claims(one)})
    refused = {one.row.number: result for one in rows if (result := _refuse_duplicate(one, before)) is not None}
    left = [one for one in rows if one.row.number not in refused]
    found = {result.row: result for result in way(session, setting, job, left)} | refused
    return [found[one.row.number] for one in rows]


def collect_claims(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> Iterator[tuple[str, int]]:
    """Yield the ids of existing tenants and the hashed unique values of new tenants, each with its row number.

    Failed rows and rows with an idempotency key are left out: the same row may come again in another chunk.
    """
    for one, result in zip(rows, results, strict=True):
        if result.state == "failed" or one.key is not None:
            continue
        if result.status == 201:
            yield from ((key, one.row.number) for _, key in _hash_claims(one))
        elif result.tenant is not None:
            yield result.tenant, one.row.number


def save_claims(session: Session, job: Job, rehearsal: RollbackWithResults) -> None:
    """Record the claims of a dry run for later chunks. Raises `DryRunConflict`."""
    if not try_save_first_rows(session, job, rehearsal.meant):
        raise DryRunConflict


def _refuse_duplicate(one: ValidatedRow, before: Mapping[str, int]) -> RowResult | None:
    """Return the failure of a row that conflicts with another chunk's row, else None.

    Rows with an idempotency key are never refused.
    """
    if one.key is None:
        for field, key in _hash_claims(one):
            if key in before:
                first = before[key]
                return one.refused(DuplicateRow(f"Row {first} has the same {field}.", first_row=first))
    return None


def _hash_claims(one: ValidatedRow) -> Iterator[tuple[str, str]]:
    """Yield the field name and a hash of each unique value of the tenant that the row creates."""
    values = (one.act.values if one.act is not None else None) or {}
    for field, name in (("email", "email_key"), ("external id", "external_id")):
        if values.get(name) is not None:
            yield field, hashlib.sha256(f"{name}\n{values[name]}".encode()).hexdigest()
