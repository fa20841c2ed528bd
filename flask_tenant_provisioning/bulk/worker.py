"""The worker of bulk jobs: claims a chunk and executes its rows in one transaction, together with their results."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..database.errors import FailureKind, LeaseLost, classify_failure
from ..database.lease import CLAIM_ATTEMPTS
from ..database.session import Session
from ..errors import ProvisioningError
from ..mount import Mount
from ..telemetry.base import WorkSpan
from ..telemetry.instruments import BULK_ROWS, CHUNK_DURATION, RETRIES
from ..tenants.quotas import TooFewPlaces
from . import actions
from .chunks import (
    ClaimedChunk,
    claim_chunk,
    load_chunks,
    load_due_jobs,
    release_chunk,
    save_results,
)
from .execution import ChunkExecution, RollbackWithResults, fail_chunk
from .models import BULK_WORK, Job
from .results import Tally
from .rows.dry_run import DryRunConflict
from .statements import BulkSQL

logger = logging.getLogger(__name__)
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
        self._has_statistics = False

    def claim(self, limit: int) -> list[ClaimedChunk]:
        """Claim at most `limit` chunks. Partners with work left are equally likely to be served."""
        claimed_chunks: list[ClaimedChunk] = []
        for _ in range(CLAIM_ATTEMPTS * limit):
            job = self._choose_job() if len(claimed_chunks) < limit else None
            if job is None:
                break
            claimed_chunks += self._claim(job)
        return claimed_chunks

    def renew(self, claimed_chunks: Iterable[ClaimedChunk]) -> None:
        """Renew the leases of chunks that are being executed."""
        lease = self._storage.once(BulkSQL).lease
        self._storage.transaction(partial(lease.renew, claims=claimed_chunks, seconds=self.lease))

    def timeout(self, claimed_chunk: ClaimedChunk) -> float:
        """Return the time limit of a chunk in seconds. An atomic job is executed as one chunk."""
        return 3600.0

    def run(self, claimed_chunk: ClaimedChunk) -> None:
        """Execute a chunk, and finish the job if it was the last one."""
        telemetry, labels = self._storage.telemetry, {"operation": claimed_chunk.job.operation}
        if claimed_chunk.claims > 1:
            telemetry.count(RETRIES, 1, {"kind": BULK_WORK})
        with telemetry.measure(CHUNK_DURATION, labels, _describe_span(claimed_chunk)) as piece:
            piece.outcome = self._run_chunk(claimed_chunk)
        if not self._has_statistics:
            tenants = self._storage.table("tenants")
            self._has_statistics = self._storage.run_autocommit(partial(Session.analyze_new_table, table=tenants))

    def _run_chunk(self, claimed_chunk: ClaimedChunk) -> str:
        """Execute a chunk, and finish the job if it was the last one. Return the outcome for `CHUNK_DURATION`."""
        outcome = "lost"
        try:
            tally = self._execute_chunk(claimed_chunk)
            outcome = "failed" if claimed_chunk.claims > MAX_CLAIMS else "succeeded"
            if self._storage.telemetry.is_on:
                for result, rows in tally._asdict().items():
                    labels = {"operation": claimed_chunk.job.operation, "result": result}
                    self._storage.telemetry.count(BULK_ROWS, rows, labels)
        except LeaseLost:
            logger.info(
                "a chunk of bulk job %s was not executed: another worker claimed it, or the job was cancelled",
                claimed_chunk.job.id,
                extra=_make_log_fields(claimed_chunk),
            )
            self._storage.transaction(partial(release_chunk, claimed_chunk=claimed_chunk))
        except Exception as error:
            if _is_row_error(error):
                self._storage.transaction(partial(release_chunk, claimed_chunk=claimed_chunk))
            raise
        self._storage.transaction(partial(actions.finish_if_done, job=claimed_chunk.job))
        return outcome

    def expire(self, claimed_chunk: ClaimedChunk) -> None:
        """Log that a chunk exceeded its time limit. Another worker claims it after its lease."""
        logger.warning(
            "a chunk of bulk job %s takes too long", claimed_chunk.job.id, extra=_make_log_fields(claimed_chunk)
        )

    def stop(self) -> None:
        """Do nothing: a running chunk is not interrupted. If the process ends before it, its lease expires."""

    def _choose_job(self) -> Job | None:
        """Choose the oldest due job of a random partner."""
        by_partner: dict[str, list[Job]] = defaultdict(list)
        for job in self._storage.read(load_due_jobs):
            by_partner[job.partner_id].append(job)
        if not by_partner:
            return None
        jobs = random.choice(list(by_partner.values()))
        return min(jobs, key=lambda job: job.id)

    def _claim(self, job: Job) -> list[ClaimedChunk]:
        claimed_chunk = self._storage.transaction(partial(claim_chunk, job=job, lease_seconds=self.lease))
        if claimed_chunk is None:
            self._storage.transaction(partial(actions.finish_if_done, job=job))
            return []
        return [claimed_chunk]

    def _execute_chunk(self, claimed_chunk: ClaimedChunk) -> Tally:
        """Execute a chunk and return the counts of its rows. Raises `LeaseLost`."""
        chunks = self._storage.read(partial(load_chunks, claimed_chunk=claimed_chunk))
        if not chunks:
            raise LeaseLost(claimed_chunk.job.id)
        if claimed_chunk.claims > MAX_CLAIMS:
            results = [fail_chunk(self._mount, claimed_chunk, chunk) for chunk in chunks]
            return self._storage.transaction(
                partial(save_results, claimed_chunk=claimed_chunk, chunks=chunks, results=results)
            )
        execution = ChunkExecution(self._mount, claimed_chunk, chunks)
        execution.reserve(self._sleep)
        for _ in range(claimed_chunk.job.chunks + _MAX_RESTARTS):
            if self._try_execute(execution, claimed_chunk):
                return execution.tally
            logger.debug(
                "a chunk of bulk job %s starts again", claimed_chunk.job.id, extra=_make_log_fields(claimed_chunk)
            )
        raise RuntimeError("a chunk of a bulk job keeps restarting")

    def _try_execute(self, execution: ChunkExecution, claimed_chunk: ClaimedChunk) -> bool:
        """Execute the chunk. Return False if it has to be started again.

        That is the case if a dry run conflicts with another chunk, if more places are needed than were reserved, and if
        a row made the database or a host's function fail: then the rows are executed one by one.
        """
        try:
            self._storage.transaction(execution.execute)
        except RollbackWithResults as rollback:
            try:
                self._storage.transaction(partial(execution.save_rolled_back, rollback=rollback))
            except DryRunConflict:
                return False
        except TooFewPlaces:
            execution.reserve(self._sleep, for_all=True)
            return False
        except LeaseLost:
            raise
        except Exception as error:
            if not _is_row_error(error) or not execution.switch_to_row_by_row():
                raise
            fields = _make_log_fields(claimed_chunk)
            logger.warning(
                "a batch of rows of a bulk job failed: executing them one by one", exc_info=True, extra=fields
            )
            return False
        return True


def _make_log_fields(claimed_chunk: ClaimedChunk) -> dict[str, Any]:
    """Return the fields that log lines about a chunk carry."""
    return {"job": claimed_chunk.job.id, "partner": claimed_chunk.job.partner_id, "chunk": claimed_chunk.number}


def _describe_span(claimed_chunk: ClaimedChunk) -> WorkSpan:
    job = claimed_chunk.job
    attributes: dict[str, str | int] = {
        "provisioning.partner": job.partner_id,
        "provisioning.job": job.id,
        "provisioning.chunk": claimed_chunk.number,
        "provisioning.attempt": claimed_chunk.claims,
    }
    return WorkSpan(f"bulk {job.operation}", "consumer", job.traceparent, attributes)


def _is_row_error(error: Exception) -> bool:
    """Return whether a row most likely caused the failure, as opposed to an outage of the database."""
    return not isinstance(error, ProvisioningError) and classify_failure(error) is FailureKind.BUG


class SingleJobWork(BulkWork):
    """Chunks of a single job. Other workers may execute chunks of the same job concurrently."""

    def __init__(self, mount: Mount, lease: float, job: Job, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(mount, lease, sleep)
        self._job = job

    def load_job(self) -> Job | None:
        """Load the job. Return None if it was removed."""
        return self._storage.read(partial(actions.load_job, partner=self._job.partner_id, job_id=self._job.id))

    def _choose_job(self) -> Job | None:
        job = self.load_job()
        return job if job is not None and job.due_at is not None else None
