"""The worker of bulk jobs: claims a chunk and executes its rows in one transaction, together with their results."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..database.errors import FailureKind, classify_failure
from ..database.session import Session
from ..errors import ProvisioningError
from ..mount import Mount
from ..tenants.quotas import TooFewPlaces
from . import actions
from .chunks import (
    ClaimedChunk,
    LeaseLost,
    claim_chunk,
    load_chunks,
    load_due_jobs,
    release_chunk,
    renew_leases,
    save_results,
)
from .execution import ChunkExecution, fail_chunk
from .models import Job
from .rows.dry_run import DryRunConflict, RollbackWithResults
from .statements import BulkSQL

logger = logging.getLogger(__name__)
#: Attempts to claim a chunk while other workers win the race.
_CLAIM_ATTEMPTS = 3
#: Claims of a chunk before its rows fail: a row that kills its worker would do so forever.
MAX_CLAIMS = 5
#: Restarts of a claimed chunk for more quota or row by row, besides one for each chunk that a dry run conflicts with.
_MAX_RESTARTS = 3


class BulkWork:
    """Chunks of one mount's bulk jobs, as a kind of work for the workers. `lease` is in seconds."""

    #: Chunks at a time per worker: one waits for the database while the other computes.
    slots = 2

    def __init__(self, mount: Mount, lease: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._mount, self._storage, self._sleep = mount, mount.storage, sleep
        self.lease = lease

    def claim(self, limit: int) -> list[ClaimedChunk]:
        """Claim at most `limit` chunks. Partners with work left are equally likely to be served."""
        found: list[ClaimedChunk] = []
        for _ in range(_CLAIM_ATTEMPTS * limit):
            if len(found) == limit or (job := self._next()) is None:
                break
            found += self._claimed(job)
        return found

    def renew(self, pieces: Iterable[ClaimedChunk]) -> None:
        """Renew the leases of chunks that are being executed."""
        self._storage.transaction(partial(renew_leases, pieces=sorted(pieces), lease=self.lease))

    def timeout(self, piece: ClaimedChunk) -> float:
        """Return the time limit of a chunk in seconds. An atomic job is executed as one chunk."""
        return 3600.0

    def run(self, piece: ClaimedChunk) -> None:
        """Execute a chunk, and finish the job if it was the last one."""
        try:
            self._do(piece)
        except LeaseLost:
            logger.info(
                "a chunk of bulk job %s was not executed: another worker claimed it, or the job was cancelled",
                piece.job.id,
                extra=_log_fields(piece),
            )
            self._storage.transaction(partial(release_chunk, piece=piece))
        except Exception as error:
            if _is_row_error(error):
                self._storage.transaction(partial(release_chunk, piece=piece))
            raise
        self._storage.transaction(partial(actions.finish_if_done, job=piece.job))

    def expire(self, piece: ClaimedChunk) -> None:
        """Log that a chunk exceeded its time limit. Another worker claims it after its lease."""
        logger.warning("a chunk of bulk job %s takes too long", piece.job.id, extra=_log_fields(piece))

    def stop(self) -> None:
        """Do nothing on shutdown: a chunk takes a second or two."""

    def _next(self) -> Job | None:
        """Choose the oldest due job of a random partner."""
        by_partner: dict[str, list[Job]] = defaultdict(list)
        for job in self._storage.read(load_due_jobs):
            by_partner[job.partner_id].append(job)
        return min(random.choice(list(by_partner.values())), key=lambda job: job.id) if by_partner else None

    def _claimed(self, job: Job) -> list[ClaimedChunk]:
        piece = self._storage.transaction(partial(claim_chunk, job=job, lease=self.lease))
        if piece is None:
            self._storage.transaction(partial(actions.finish_if_done, job=job))
        return [piece] if piece else []

    def _do(self, piece: ClaimedChunk) -> None:
        found = self._storage.read(partial(load_chunks, piece=piece))
        if not found:
            raise LeaseLost(piece.job.id)
        if piece.fence > MAX_CLAIMS:
            results = [fail_chunk(self._mount, piece.job, chunk) for chunk in found]
            self._storage.transaction(partial(save_results, piece=piece, chunks=found, results=results))
            return
        plan = ChunkExecution(self._mount, piece, found)
        plan.reserve(self._sleep)
        for _ in range(piece.job.chunks + _MAX_RESTARTS):
            if self._try_execute(plan, piece):
                return
            logger.debug("a chunk of bulk job %s starts again", piece.job.id, extra=_log_fields(piece))
        raise RuntimeError("a chunk of a bulk job keeps restarting")

    def _try_execute(self, plan: ChunkExecution, piece: ClaimedChunk) -> bool:
        """Execute the chunk. Return False if it has to be started again.

        That is the case if a dry run conflicts with another chunk, if more places are needed than were reserved, and if
        a row made the database or a host's function fail: then the rows are executed one by one.
        """
        try:
            self._storage.transaction(plan.do)
        except RollbackWithResults as rehearsal:
            try:
                self._storage.transaction(partial(plan.keep, rehearsal=rehearsal))
            except DryRunConflict:
                return False
        except TooFewPlaces:
            plan.reserve(self._sleep, for_all=True)
            return False
        except LeaseLost:
            raise
        except Exception as error:
            if not _is_row_error(error) or not plan.switch_to_row_by_row():
                raise
            fields = _log_fields(piece)
            logger.warning(
                "a batch of rows of a bulk job failed: executing them one by one", exc_info=True, extra=fields
            )
            return False
        return True


def _log_fields(piece: ClaimedChunk) -> dict[str, Any]:
    """Return the fields that log lines about a chunk carry."""
    return {"job": piece.job.id, "partner": piece.job.partner_id, "chunk": piece.number}


def _is_row_error(error: Exception) -> bool:
    """Return whether a row most likely caused the failure, as opposed to an outage of the database."""
    return not isinstance(error, ProvisioningError) and classify_failure(error) is FailureKind.BUG


class SingleJobWork(BulkWork):
    """Chunks of a single job. Other workers may execute chunks of the same job concurrently."""

    def __init__(self, mount: Mount, lease: float, job: Job, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(mount, lease, sleep)
        self._job = job

    def current(self) -> Job | None:
        """Load the job. Return None if it was removed."""
        return self._storage.read(partial(_load_job, partner=self._job.partner_id, job_id=self._job.id))

    def _next(self) -> Job | None:
        job = self.current()
        return job if job is not None and job.due_at is not None else None


def _load_job(session: Session, partner: str, job_id: str) -> Job | None:
    where = {"partner_id": partner, "job_id": job_id}
    row = session.run(session.storage.once(BulkSQL).job, where).fetchone()
    return None if row is None else Job._make(row)
