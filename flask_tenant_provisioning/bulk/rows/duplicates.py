"""Duplicate rows: two rows of a job that refer to the same tenant, and rows that repeat an idempotency key.

The second row for a tenant is refused. A row with a key takes effect once, in the same upload or in another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from ...database.errors import StaleRead
from ...database.session import Session
from ...database.statements import encode_rows
from ...errors import DuplicateRow, IdempotencyKeyReused
from ...tenants.models import Tenant
from ...web.idempotency import StoredRow, claim_row_keys, release_row_keys, save_rows
from ..models import Job
from ..results import RowResult
from ..statements import BulkSQL
from .operations import RowContext, RowStrategy, ValidatedRow
from .parsing import Row


def load_first_rows(session: Session, job: Job, keys: Iterable[str]) -> dict[str, int]:
    """Return, for each of `keys` that rows of other chunks refer to, the first such row."""
    if job.chunks == 1:
        return {}
    parameters = {**job.key, "rows": encode_rows({"key": key} for key in keys)}
    return dict(session.run(session.storage.once(BulkSQL).first_rows, parameters).fetchall())


def save_first_rows(session: Session, job: Job, first_rows: Mapping[str, int]) -> None:
    """Record the first rows for later chunks. Raises `StaleRead` if another chunk recorded one of the keys first."""
    if not try_save_first_rows(session, job, first_rows):
        raise StaleRead("another chunk has a row for the same tenant")


def try_save_first_rows(session: Session, job: Job, first_rows: Mapping[str, int]) -> bool:
    """Record the first rows for later chunks. Return False if another chunk recorded one of the keys first."""
    if job.chunks == 1 or not first_rows:
        return True
    encoded = encode_rows({"key": key, "row": first_rows[key]} for key in sorted(first_rows))
    parameters = {**job.key, "rows": encoded}
    return bool(session.run(session.storage.once(BulkSQL).add_keys, parameters).rowcount == len(first_rows))


def require_first_row(session: Session, job: Job, row: Row, tenant: Tenant) -> None:
    """Raise `DuplicateRow` if another row of the job refers to this tenant."""
    sql, key = session.storage.once(BulkSQL), {**job.key, "key": tenant.id}
    if session.run(sql.add_key, {**key, "row": row.number}).rowcount != 1:
        (first,) = session.run(sql.first_row, key).fetchone()
        raise DuplicateRow(f"Row {first} refers to the same tenant.", first_row=first)


def execute_once(
    session: Session, context: RowContext, job: Job, rows: Sequence[ValidatedRow], strategy: RowStrategy
) -> list[RowResult]:
    """Execute `rows` by `strategy`, except those whose idempotency key has taken effect before."""
    keys = {row.key.key for row in rows if row.key is not None}
    if not keys:
        return strategy(session, context, job, rows)
    before = claim_row_keys(session, context.partner, keys, context.api.config.idempotency_hours)
    done, in_order, left = dict(before), list[RowResult](), deque(rows)
    while left:
        repeated, now = _take_independent_rows(left, done)
        results = {result.row: result for result in strategy(session, context, job, now)}
        in_order += [result for _, result in sorted((repeated | results).items())]
        done |= _collect_done(now, [results[row.number] for row in now])
    save_rows(session, context.partner, {key: stored for key, stored in done.items() if key not in before})
    release_row_keys(session, context.partner, keys - done.keys())
    return in_order


def _replay_result(row: ValidatedRow, done: Mapping[str, StoredRow]) -> RowResult | None:
    """Return the stored result for the row's key, a failure if the key belongs to another row, or None if it is new."""
    if row.key is None or (before := done.get(row.key.key)) is None:
        return None
    if before.fingerprint != row.key.fingerprint:
        return row.fail(IdempotencyKeyReused("Another row was sent with this key before."))
    tenant, external_id = before.document
    return RowResult(row.number, "unchanged", before.status, tenant, external_id, None)


def _take_independent_rows(
    left: deque[ValidatedRow], done: Mapping[str, StoredRow]
) -> tuple[dict[int, RowResult], list[ValidatedRow]]:
    """Take rows from the beginning of `left` until one repeats the key of a row taken before it.

    Returns the results of rows that took effect before, by row number, and the rows to execute.
    """
    repeated, now, keys = dict[int, RowResult](), list[ValidatedRow](), set[str]()
    while left and (left[0].key is None or left[0].key.key not in keys):
        row = left.popleft()
        if (result := _replay_result(row, done)) is not None:
            repeated[row.number] = result
            continue
        now.append(row)
        if row.key is not None:
            keys.add(row.key.key)
    return repeated, now


def _collect_done(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> dict[str, StoredRow]:
    """Return the rows to store under their keys; failed rows are left out."""
    return {
        row.key.key: StoredRow(
            row.key.fingerprint, result.status or 0, [result.tenant, result.external_id], result.tenant
        )
        for row, result in zip(rows, results, strict=True)
        if row.key is not None and result.state != "failed"
    }
