"""Dry runs: each chunk leaves nothing but its results, and the keys by which later chunks detect duplicates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from ...database.session import Session
from ...errors import DuplicateRow
from ..models import Job
from ..results import RowResult
from .duplicates import load_first_rows
from .operations import RowContext, RowStrategy, ValidatedRow


class DryRunConflict(Exception):
    """Another chunk recorded a row for the same tenant first: the dry run starts again."""


def execute_dry_run(
    session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow], strategy: RowStrategy
) -> list[RowResult]:
    """Execute `rows` by `strategy`, refusing those that would create the same tenant as a row of another chunk."""
    first_rows = load_first_rows(session, job, {key for row in rows for _, key in _hash_unique_values(row)})
    results: dict[int, RowResult] = {}
    remaining = []
    for row in rows:
        result = _refuse_duplicate(row, first_rows)
        if result is None:
            remaining.append(row)
        else:
            results[row.number] = result
    results |= {result.row: result for result in strategy(session, context, job, remaining)}
    return [results[row.number] for row in rows]


def collect_first_rows(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> Iterator[tuple[str, int]]:
    """Yield the ids of existing tenants and the hashed unique values of new tenants, each with its row number.

    Failed rows and rows with an idempotency key are left out: the same row may come again in another chunk.
    """
    for row, result in zip(rows, results, strict=True):
        if result.state == "failed" or row.idempotency_key is not None:
            continue
        if result.status == 201:
            yield from ((key, row.number) for _, key in _hash_unique_values(row))
        elif result.tenant is not None:
            yield result.tenant, row.number


def _refuse_duplicate(row: ValidatedRow, first_rows: Mapping[str, int]) -> RowResult | None:
    """Return the failure of a row that conflicts with another chunk's row, else None.

    Rows with an idempotency key are never refused.
    """
    if row.idempotency_key is None:
        for field, key in _hash_unique_values(row):
            if key in first_rows:
                first_row = first_rows[key]
                return row.fail(DuplicateRow(f"Row {first_row} has the same {field}.", first_row=first_row))
    return None


def _hash_unique_values(row: ValidatedRow) -> Iterator[tuple[str, str]]:
    """Yield the field name and a hash of each unique value of the tenant that the row creates."""
    values = (row.action.values if row.action is not None else None) or {}
    for field, name in (("email", "email_key"), ("external id", "external_id")):
        if values.get(name) is not None:
            yield field, hashlib.sha256(f"{name}\n{values[name]}".encode()).hexdigest()
