"""Erase what bulk jobs hold of purged tenants: the rows that meant them, and what came of those."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from marshmallow import ValidationError
from sqlalchemy import Integer, and_, bindparam, select

from ..database import SQL, Session, Storage, renewed
from ..problems import ProvisioningError
from ..tenants.fields import email_key
from ..web.json import parse
from .models import Chunk, Job
from .packing import packed, unpacked
from .results import Result, kept, read
from .statements import BulkSQL

#: What stands in place of what a problem said.
ERASED = "Erased with the tenant."
_BATCH = 100


class Purged(NamedTuple):
    """Purged tenants of one partner, each with the instant of its purge.

    `tenants` are known by their ids, `claims` by what they alone had: ``("email", key)`` or ``("external_id", id)``.
    """

    tenants: Mapping[str, str]
    claims: dict[tuple[str, str], str]


class ErasingSQL(SQL):
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.engine.dialect)
        jobs, chunks = storage.table("bulk_jobs"), storage.table("bulk_chunks")
        j, c = jobs.c, chunks.c
        partner: Any = bindparam("partner_id", type_=j.partner_id.type)
        behind = j.id > bindparam("after", type_=j.id.type)
        page = select(*(j[name] for name in Job._fields)).where(j.partner_id == partner, behind)
        self.jobs = self._compiled(page.order_by(j.id).limit(bindparam("limit", type_=Integer)))
        job_id: Any = bindparam("job_id", type_=c.job_id.type)
        of_job = and_(c.partner_id == partner, c.job_id == job_id)
        one = and_(of_job, c.number == bindparam("number", type_=Integer))
        self.erase = self._compiled(chunks.update().where(one).values(renewed(c, ("payload", "results"))))


def erase(storage: Storage, partner: str, purged: Purged) -> int:
    """Erase what the jobs of `partner` hold of these tenants; returns how many chunks that changed.

    Chunks that are done hold what was sent and what came of it, those of a cancelled job what was sent. A row belongs
    to a tenant by the id that it names or that came of it, in a job from before the purge also by its email or external
    id.
    """
    return sum(_erase_job(storage, job, purged) for job in _jobs(storage, partner))


def _jobs(storage: Storage, partner: str) -> Iterator[Job]:
    after = "00000000-0000-0000-0000-000000000000"
    while page := storage.read(partial(_page, partner=partner, after=after)):
        yield from page
        after = page[-1].id


def _page(session: Session, partner: str, after: str) -> list[Job]:
    wanted = {"partner_id": partner, "after": after, "limit": _BATCH}
    return [Job._make(row) for row in session.run(session.storage.once(ErasingSQL).jobs, wanted).fetchall()]


def _erase_job(storage: Storage, job: Job, purged: Purged) -> int:
    count = 0
    for number in range(1, job.chunks + 1):
        chunk = storage.read(partial(_chunk, job=job, number=number))
        if chunk is not None and _remainder(job, chunk, purged) is not None:
            count += storage.transaction(partial(_erase_chunk, job=job, number=number, purged=purged))
    return count


def _chunk(session: Session, job: Job, number: int) -> Chunk | None:
    where = {"partner_id": job.partner_id, "job_id": job.id, "number": number}
    row = session.run(session.storage.once(BulkSQL).chunk, where).fetchone()
    return Chunk._make(row) if row else None


def _erase_chunk(session: Session, job: Job, number: int, purged: Purged) -> int:
    """Erase rows of a chunk, which no worker has: it is done, or its job is cancelled. Returns 1 if it was changed."""
    where = {"partner_id": job.partner_id, "job_id": job.id}
    row = session.run(session.storage.once(BulkSQL).lock_job, where).fetchone()
    chunk = _chunk(session, job, number)
    if row is None or chunk is None or (found := _remainder(Job._make(row), chunk, purged)) is None:
        return 0
    payload, results = found
    values = {"new_payload": payload, "new_results": results}
    session.run(session.storage.once(ErasingSQL).erase, {**where, "number": number, **values})
    return 1


def _remainder(job: Job, chunk: Chunk, purged: Purged) -> tuple[bytes, bytes | None] | None:
    """The payload and the results of a chunk without what these tenants' rows said; None where nothing changes."""
    if chunk.done_at is None and job.state != "cancelled":
        return None
    lines = unpacked(chunk.payload).split(b"\n")
    results = list(read(chunk.first_row, chunk.results)) if chunk.results is not None else []
    found = False
    for place, line in enumerate(lines):
        result = results[place] if results else None
        if not _is_theirs(job, line, result, purged):
            continue
        if line or (result is not None and result != _erased(result)):
            found = True
        lines[place] = b""
        if result is not None:
            results[place] = _erased(result)
    if not found:
        return None
    return packed(b"\n".join(lines)), kept(results) if chunk.results is not None else None


def _is_theirs(job: Job, line: bytes, result: Result | None, purged: Purged) -> bool:
    """Return whether a row meant one of these tenants."""
    if result is not None:
        named = (result.tenant, (result.problem or {}).get("conflicting_tenant"))
        if any(one in purged.tenants for one in named if one is not None):
            return True
        if result.tenant is not None and not job.rehearsal:
            return False
    row = _row(line) if line else {}
    if str(row.get("tenant", "")).lower() in purged.tenants:
        return True
    external_ids = {row.get("external_id"), result.external_id if result is not None else None}
    claims = [("external_id", one) for one in external_ids if isinstance(one, str)]
    if isinstance(row.get("email"), str):
        claims.append(("email", _email(row["email"])))
    return any(job.created_at <= purged.claims.get(claim, "") for claim in claims)


def _row(line: bytes) -> Mapping[str, Any]:
    try:
        found = parse(line)
    except ProvisioningError:
        return {}
    return found if isinstance(found, dict) else {}


def _email(text: str) -> str:
    """An email as it is compared, or as it was sent where it is none."""
    try:
        return email_key(text.strip())
    except ValidationError:
        return text


def claims_of(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return what a tenant in this state has alone, as `Purged.claims` names it."""
    for name, key in (("email", _email), ("external_id", str)):
        if document.get(name) is not None:
            yield name, key(document[name])


def _erased(result: Result) -> Result:
    """Return what came of a row, without what it says of the tenant but its id."""
    problem = result.problem and {
        **{name: result.problem[name] for name in ("code", "line") if name in result.problem},
        "detail": ERASED,
    }
    return result._replace(external_id=None, problem=problem)
