"""How a job ends: once all its chunks are done, with an event that says what came of it."""

from __future__ import annotations

from typing import Any

from ..access import Actor, Principal
from ..database import Session, instant, renewal
from ..events import event, record
from .models import Job
from .results import Tally
from .statements import BulkSQL

WORKER = "provisioning-worker"


def end_if_done(session: Session, job: Job) -> bool:
    """End the job if nothing of it is left to do, unless that has happened; whether it was so."""
    sql, where = session.storage.once(BulkSQL), {"partner_id": job.partner_id, "job_id": job.id}
    if session.run(sql.left, where).fetchone() is not None:
        return False
    row = session.run(sql.lock_job, where).fetchone()
    if row is None or Job._make(row).finished_at is not None:
        return False
    *counts, _ = session.run(sql.counts, where).fetchone()
    _ended(session, Job._make(row), Tally(*map(int, counts)))
    return True


def goes_on(session: Session, job: Job) -> bool:
    """Whether nobody has cancelled the job, or can until the transaction ends."""
    where = {"partner_id": job.partner_id, "job_id": job.id}
    row = session.run(session.storage.once(BulkSQL).lock_job, where).fetchone()
    return row is not None and Job._make(row).finished_at is None


def outcome(job: Job, tally: Tally) -> str:
    """The state in which a job ends whose rows came to this."""
    if not tally.failed:
        return "succeeded"
    return "partial" if tally.succeeded or tally.unchanged else "failed"


def _ended(session: Session, job: Job, tally: Tally) -> None:
    sql, at = session.storage.once(BulkSQL), instant(session.storage.clock())
    values: dict[str, Any] = {"state": outcome(job, tally), "finished_at": at, "due_at": None, **tally._asdict()}
    after = job._replace(**values)
    where = {"partner_id": job.partner_id, "job_id": job.id}
    session.run(sql.end, {**where, **renewal(values)})
    session.run(sql.remove_keys, where)
    actor = Actor(Principal(WORKER, job.partner_id))
    record(session, event(session.storage, actor, "bulk_job.finished", job.partner_id, told(after), at))


def told(job: Job) -> dict[str, Any]:
    """A job that has ended, as its event tells of it."""
    return {
        "job": job.id,
        "operation": job.operation,
        "mode": job.mode,
        "state": job.state,
        "total": job.rows,
        **{name: getattr(job, name) for name in Tally._fields},
    }
