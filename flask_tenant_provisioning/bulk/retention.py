"""Removal of old jobs, of rows over the storage budget, and of what jobs hold of purged tenants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from marshmallow import ValidationError

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import Statement
from ..encoding import parse_json
from ..errors import ProvisioningError
from ..tenants.fields import make_email_key
from .actions import load_job, remove_job
from .models import Chunk, Job
from .results import RowResult, compress, decode_results, decompress, encode_results
from .statements import BulkSQL, ErasureSQL

_BATCH = 100
#: Days after which an unfinished upload is taken for abandoned: its process has died.
_ABANDONED_AFTER_DAYS = 1


def remove_old_jobs(storage: Storage, days: int) -> int:
    """Remove ended jobs created more than `days` ago, and abandoned uploads. Return how many were removed."""
    count = 0
    sql = storage.once(BulkSQL)
    for statement, age in ((sql.old_jobs, days), (sql.abandoned_uploads, _ABANDONED_AFTER_DAYS)):
        before = format_instant(storage.clock(), days=-age)
        while jobs := storage.read(partial(_load_old_jobs, statement=statement, before=before)):
            for partner, job_id in jobs:
                storage.transaction(partial(remove_job, partner=partner, job_id=job_id))
            count += len(jobs)
    return count


def enforce_storage_budget(storage: Storage, budget: int) -> int:
    """Remove the rows and results of each partner's oldest ended jobs until the rest take at most `budget` bytes.

    A cancelled job is removed as a whole, since it cannot be resumed without its rows. Returns how many jobs changed.
    """
    count = 0
    for (partner,) in storage.read(partial(_load_partners_over_budget, budget=budget)):
        bytes_left = budget
        for job_id, size in storage.read(partial(_load_job_sizes, partner=partner)):
            bytes_left -= int(size)
            if bytes_left < 0:
                count += storage.transaction(partial(_drop_rows, partner=partner, job_id=job_id))
    return count


def _load_partners_over_budget(session: Session, budget: int) -> list[tuple[Any, ...]]:
    """Load the partners whose jobs, open ones included, take more than `budget` bytes."""
    statement = session.storage.once(BulkSQL).partners_over_budget
    partners: list[tuple[Any, ...]] = session.run(statement, {"budget": budget}).fetchall()
    return partners


def _load_job_sizes(session: Session, partner: str) -> list[tuple[Any, ...]]:
    """Load the ids and sizes in bytes of a partner's ended jobs, newest first."""
    statement = session.storage.once(BulkSQL).job_sizes
    sizes: list[tuple[Any, ...]] = session.run(statement, {"partner_id": partner}).fetchall()
    return sizes


def _drop_rows(session: Session, partner: str, job_id: str) -> int:
    """Remove the rows of an ended job, or the whole job if it was cancelled.

    Returns 1, or 0 if the job is open or gone.
    """
    job = load_job(session, partner, job_id, lock=True)
    if job is None or job.finished_at is None:
        return 0
    if job.state == "cancelled":
        remove_job(session, partner, job_id)
    else:
        session.run(session.storage.once(BulkSQL).remove_chunks, job.key)
    return 1


def _load_old_jobs(session: Session, statement: Statement, before: str) -> list[tuple[Any, ...]]:
    jobs: list[tuple[Any, ...]] = session.run(statement, {"before": before, "limit": _BATCH}).fetchall()
    return jobs


#: Replaces the detail of a problem.
ERASED_DETAIL = "Erased with the tenant."


class PurgedTenants(NamedTuple):
    """Purged tenants of one partner, each with the instant of its purge.

    `tenants` maps their ids to it, `unique_keys` their unique keys: ``("email", key)`` or ``("external_id", id)``.
    """

    tenants: Mapping[str, str]
    unique_keys: dict[tuple[str, str], str]


def erase_tenants(storage: Storage, partner: str, purged: PurgedTenants) -> int:
    """Erase purged tenants from the partner's jobs. Return the number of chunks changed.

    Finished chunks hold rows and results, those of a cancelled job also rows that were not executed. A row belongs to a
    tenant by the tenant id in the row or its result; in a job created before the purge also by email or external id.
    """
    return sum(_erase_job(storage, job, purged) for job in _iterate_jobs(storage, partner))


def _iterate_jobs(storage: Storage, partner: str) -> Iterator[Job]:
    after = "00000000-0000-0000-0000-000000000000"
    while page := storage.read(partial(_load_jobs_after, partner=partner, after=after)):
        yield from page
        after = page[-1].id


def _load_jobs_after(session: Session, partner: str, after: str) -> list[Job]:
    parameters = {"partner_id": partner, "after": after, "limit": _BATCH}
    return [Job._make(row) for row in session.run(session.storage.once(ErasureSQL).jobs, parameters).fetchall()]


def _erase_job(storage: Storage, job: Job, purged: PurgedTenants) -> int:
    count = 0
    for number in range(1, job.chunks + 1):
        chunk = storage.read(partial(_load_chunk, job=job, number=number))
        if chunk is not None and _redact_chunk(job, chunk, purged) is not None:
            count += storage.transaction(partial(_erase_chunk, job=job, number=number, purged=purged))
    return count


def _load_chunk(session: Session, job: Job, number: int) -> Chunk | None:
    row = session.run(session.storage.once(BulkSQL).chunk, {**job.key, "number": number}).fetchone()
    return Chunk._make(row) if row else None


def _erase_chunk(session: Session, job: Job, number: int, purged: PurgedTenants) -> int:
    """Erase rows of a chunk that no worker holds: it is done, or its job is cancelled.

    Returns 1 if the chunk was changed, else 0.
    """
    current = load_job(session, job.partner_id, job.id, lock=True)
    chunk = _load_chunk(session, job, number)
    redacted = None if current is None or chunk is None else _redact_chunk(current, chunk, purged)
    if redacted is None:
        return 0
    payload, results = redacted
    values = {"new_payload": payload, "new_results": results}
    session.run(session.storage.once(ErasureSQL).erase, {**job.key, "number": number, **values})
    return 1


def _redact_chunk(job: Job, chunk: Chunk, purged: PurgedTenants) -> tuple[bytes, bytes | None] | None:
    """Return the payload and the results of a chunk without the rows of these tenants, or None if it has none."""
    if chunk.done_at is None and job.state != "cancelled":
        return None
    lines = decompress(chunk.payload).split(b"\n")
    results = list(decode_results(chunk.first_row, chunk.results)) if chunk.results is not None else []
    is_changed = False
    for index, line in enumerate(lines):
        result = results[index] if results else None
        if not _is_about_tenants(job, line, result, purged):
            continue
        if line or (result is not None and result != _redact_result(result)):
            is_changed = True
        lines[index] = b""
        if result is not None:
            results[index] = _redact_result(result)
    if not is_changed:
        return None
    return compress(b"\n".join(lines)), encode_results(results) if chunk.results is not None else None


def _is_about_tenants(job: Job, line: bytes, result: RowResult | None, purged: PurgedTenants) -> bool:
    """Return whether a row refers to one of these tenants."""
    if result is not None:
        tenants = (result.tenant, (result.problem or {}).get("conflicting_tenant"))
        if any(tenant in purged.tenants for tenant in tenants if tenant is not None):
            return True
        if result.tenant is not None and not job.rehearsal:
            return False
    row = _parse_row(line) if line else {}
    if str(row.get("tenant", "")).lower() in purged.tenants:
        return True
    external_ids = {row.get("external_id"), result.external_id if result is not None else None}
    unique_keys = [("external_id", external_id) for external_id in external_ids if isinstance(external_id, str)]
    if isinstance(row.get("email"), str):
        unique_keys.append(("email", _normalize_email(row["email"])))
    return any(job.created_at <= purged.unique_keys.get(key, "") for key in unique_keys)


def _parse_row(line: bytes) -> Mapping[str, Any]:
    try:
        row = parse_json(line)
    except ProvisioningError:
        return {}
    return row if isinstance(row, dict) else {}


def _normalize_email(text: str) -> str:
    """Return an email as it is compared, or as it was sent if it is invalid."""
    try:
        return make_email_key(text.strip())
    except ValidationError:
        return text


def extract_unique_keys(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the unique keys of a tenant in this state, as in `PurgedTenants.unique_keys`."""
    if document.get("email") is not None:
        yield "email", _normalize_email(document["email"])
    if document.get("external_id") is not None:
        yield "external_id", document["external_id"]


def _redact_result(result: RowResult) -> RowResult:
    """Return a result without personal data: the code, the line and the tenant's id remain."""
    problem = result.problem and {
        **{name: result.problem[name] for name in ("code", "line") if name in result.problem},
        "detail": ERASED_DETAIL,
    }
    return result._replace(external_id=None, problem=problem)
