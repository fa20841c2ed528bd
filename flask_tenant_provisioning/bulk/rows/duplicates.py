"""Duplicate rows: two rows of a job that name the same tenant, and rows that repeat an idempotency key.

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
    """The rows of other chunks that were the first with these keys."""
    if job.chunks == 1:
        return {}
    wanted = {"partner_id": job.partner_id, "job_id": job.id, "rows": encode_rows({"key": key} for key in keys)}
    return dict(session.run(session.storage.once(BulkSQL).firsts, wanted).fetchall())


def save_first_rows(session: Session, job: Job, found: Mapping[str, int]) -> None:
    """Let the chunks that follow know of these. Raises `Outdated` where another chunk was faster."""
    if not try_save_first_rows(session, job, found):
        raise StaleRead("another chunk means the same")


def try_save_first_rows(session: Session, job: Job, found: Mapping[str, int]) -> bool:
    """Let the chunks that follow know of these; False where another chunk was faster with one of them."""
    if job.chunks == 1 or not found:
        return True
    given = encode_rows({"key": key, "row": found[key]} for key in sorted(found))
    wanted = {"partner_id": job.partner_id, "job_id": job.id, "rows": given}
    return bool(session.run(session.storage.once(BulkSQL).add_keys, wanted).rowcount == len(found))


def require_first_row(session: Session, job: Job, row: Row, tenant: Tenant) -> None:
    """Raise `DuplicateRow` where another row of the job means this tenant too."""
    sql, key = session.storage.once(BulkSQL), {"partner_id": job.partner_id, "job_id": job.id, "key": tenant.id}
    if session.run(sql.add_key, {**key, "row": row.number}).rowcount != 1:
        (first,) = session.run(sql.first, key).fetchone()
        raise DuplicateRow(f"Row {first} means the same tenant.", first_row=first)


def execute_once(
    session: Session, setting: RowContext, job: Job, rows: Sequence[ValidatedRow], way: RowStrategy
) -> list[RowResult]:
    """Do rows in this `way`, but those that were done before under their key."""
    keys = {one.key.key for one in rows if one.key is not None}
    if not keys:
        return way(session, setting, job, rows)
    before = claim_row_keys(session, setting.partner, keys, setting.api.config.idempotency_hours)
    done, found, left = dict(before), list[RowResult](), deque(rows)
    while left:
        repeated, now = _take_independent_rows(left, done)
        results = {result.row: result for result in way(session, setting, job, now)}
        found += [one for _, one in sorted((repeated | results).items())]
        done |= _collect_done(now, [results[one.row.number] for one in now])
    save_rows(session, setting.partner, {key: one for key, one in done.items() if key not in before})
    release_row_keys(session, setting.partner, keys - done.keys())
    return found


def _replay_result(one: ValidatedRow, done: Mapping[str, StoredRow]) -> RowResult | None:
    """The result of a row under whose key something was done; None for any other."""
    if one.key is None or (before := done.get(one.key.key)) is None:
        return None
    if before.fingerprint != one.key.fingerprint:
        return one.refused(IdempotencyKeyReused("Another row was sent with this key before."))
    tenant, external_id = before.document
    return RowResult(one.row.number, "unchanged", before.status, tenant, external_id, None)


def _take_independent_rows(
    left: deque[ValidatedRow], done: Mapping[str, StoredRow]
) -> tuple[dict[int, RowResult], list[ValidatedRow]]:
    """Take rows from the beginning of `left`, up to one with the key of a row before it of which is not known yet
    what comes of it. Returns the results of those done before, by row, and the rows that are to be done.
    """
    repeated, now, keys = dict[int, RowResult](), list[ValidatedRow](), set[str]()
    while left and (left[0].key is None or left[0].key.key not in keys):
        one = left.popleft()
        if (result := _replay_result(one, done)) is not None:
            repeated[one.row.number] = result
            continue
        now.append(one)
        if one.key is not None:
            keys.add(one.key.key)
    return repeated, now


def _collect_done(rows: Sequence[ValidatedRow], results: Sequence[RowResult]) -> dict[str, StoredRow]:
    """What has been done under the rows' keys now; nothing where a row has failed."""
    return {
        one.key.key: StoredRow(
            one.key.fingerprint, result.status or 0, [result.tenant, result.external_id], result.tenant
        )
        for one, result in zip(rows, results, strict=True)
        if one.key is not None and result.state != "failed"
    }
