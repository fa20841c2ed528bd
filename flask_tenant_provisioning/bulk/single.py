"""One bulk job as work, for a worker whose user waits for this one."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from ..database import Session
from ..web.mount import Mount
from .models import Job
from .statements import BulkSQL
from .working import BulkWork


class JobWork(BulkWork):
    """The chunks of one job and of no other; other workers may do some of them meanwhile."""

    def __init__(self, mount: Mount, lease: float, job: Job, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(mount, lease, sleep)
        self._job = job

    def current(self) -> Job | None:
        """The job as it is now; None where it has been removed."""
        return self._storage.read(partial(_job, partner=self._job.partner_id, job_id=self._job.id))

    def _next(self) -> Job | None:
        job = self.current()
        return job if job is not None and job.due_at is not None else None


def _job(session: Session, partner: str, job_id: str) -> Job | None:
    where = {"partner_id": partner, "job_id": job_id}
    row = session.run(session.storage.once(BulkSQL).job, where).fetchone()
    return None if row is None else Job._make(row)
