"""Which row of a job was the first to mean a tenant: another one that means it too is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..database import Outdated, Session
from ..database.incoming import rows
from .models import Job
from .statements import BulkSQL


def firsts(session: Session, job: Job, keys: Iterable[str]) -> dict[str, int]:
    """The rows of other chunks that were the first with these keys."""
    if job.chunks == 1:
        return {}
    wanted = {"partner_id": job.partner_id, "job_id": job.id, "rows": rows({"key": key} for key in keys)}
    return dict(session.run(session.storage.once(BulkSQL).firsts, wanted).fetchall())


def keep_firsts(session: Session, job: Job, found: Mapping[str, int]) -> None:
    """Let the chunks that follow know of these. Raises `Outdated` where another chunk was faster."""
    if not are_firsts(session, job, found):
        raise Outdated("another chunk means the same")


def are_firsts(session: Session, job: Job, found: Mapping[str, int]) -> bool:
    """Let the chunks that follow know of these; False where another chunk was faster with one of them."""
    if job.chunks == 1 or not found:
        return True
    given = rows({"key": key, "row": found[key]} for key in sorted(found))
    wanted = {"partner_id": job.partner_id, "job_id": job.id, "rows": given}
    return bool(session.run(session.storage.once(BulkSQL).add_keys, wanted).rowcount == len(found))
