"""Duplicate rows: of two rows of a job that refer to the same tenant, the second is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...database.errors import StaleRead
from ...database.session import Session
from ...database.statements import encode_rows
from ...errors import DuplicateRow
from ...tenants.models import Tenant
from ..models import Job
from ..statements import BulkSQL


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


def require_first_row(session: Session, job: Job, row_number: int, tenant: Tenant) -> None:
    """Raise `DuplicateRow` if another row of the job refers to this tenant."""
    sql, key = session.storage.once(BulkSQL), {**job.key, "key": tenant.id}
    if session.run(sql.add_key, {**key, "row": row_number}).rowcount != 1:
        (first_row,) = session.run(sql.first_row, key).fetchone()
        raise DuplicateRow(f"Row {first_row} refers to the same tenant.", first_row=first_row)
