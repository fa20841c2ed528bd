"""A bulk job, done in the process of the command that waits for it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

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
        self._interruptions = 0

    def run(self) -> Seen:
        """Do it. Raises `KeyboardInterrupt` at Ctrl-C, once what is begun is ended, and at a second one at once."""
        try:
            with self._interruptible():
                self._worker.run()
                self._worker.finish(GRACE)
        finally:
            self._progress.clear()
        seen = self._seen()
        if self._interruptions and seen.job.finished_at is None:
            raise KeyboardInterrupt
        return seen

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let Ctrl-C, and SIGTERM, end the work; elsewhere than in the main thread nobody sends any."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _interrupt(self, *_: Any) -> None:
        """Remember the signal: `_look` sees it, since in the midst of anything else the worker's locks may be held."""
        self._interruptions += 1
        if self._interruptions > 1:
            raise KeyboardInterrupt

    def _look(self) -> bool:
        """Whether there is anything left to do; tells how far it is."""
        job = self._work.current()
        if self._interruptions or job is None or job.finished_at is not None:
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
