"""A bulk job, done in the process of the command that waits for it."""

from __future__ import annotations

from functools import partial

from ...bulk import actions
from ...bulk.actions import Seen
from ...bulk.models import Job
from ...bulk.single import JobWork
from ...engine.worker import Worker
from ...web.mount import Mount
from ..progress import Pace, Progress

#: How long whoever interrupts a job waits for the chunks that are being done, in seconds.
GRACE = 10.0


class Performance:
    """One job, done here until it has ended, whoever does the last of it."""

    def __init__(self, mount: Mount, job: Job, progress: Progress) -> None:
        self._storage, self._job, self._progress = mount.storage, job, progress
        self._pace = Pace(job.rows, self._seen().processed)
        self._work = JobWork(mount, float(mount.settings.worker_lease_seconds), job)
        self._worker = Worker(self._work, lookout=self._look)

    def run(self) -> Seen:
        """Do it. What is being done when Ctrl-C comes is ended first; a second one does not wait for that."""
        try:
            self._worker.run()
        finally:
            self._worker.stop()
            self._worker.finish(GRACE)
            self._progress.clear()
        return self._seen()

    def _look(self) -> bool:
        """Whether there is anything left to do; tells how far it is."""
        job = self._work.current()
        if job is None or job.finished_at is not None:
            self._worker.stop()
            return False
        if self._progress.is_due():
            self._tell(self._seen())
        return True

    def _tell(self, seen: Seen) -> None:
        bar = f"{self._pace.bar(seen.processed)} " if self._progress.drawn_over else ""
        self._progress.show(f"{bar}{self._pace.told(seen.processed)}, {seen.tally.failed:,} failed")

    def _seen(self) -> Seen:
        job = self._job
        return self._storage.read(partial(actions.read, partner=job.partner_id, job_id=job.id))
