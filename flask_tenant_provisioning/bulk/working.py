"""Bulk jobs as work: whoever claims a chunk does its rows in one transaction, together with what came of them."""

from __future__ import annotations

import logging
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..database.errors import Meaning, meaning
from ..problems import ProvisioningError
from ..tenants.room import TooFewPlaces
from ..web.mount import Mount
from . import ending
from .models import Job
from .pieces import Piece, Superseded, chunks, claimed, open_jobs, released, renewed, written
from .planning import Plan, given_up
from .rehearsing import Forestalled, Rehearsed

logger = logging.getLogger(__name__)

#: How often a worker that others forestall looks again.
_TRIES = 3
#: How often a chunk is begun before its rows are given up: what kills a worker each time would do so for ever.
MOST_CLAIMS = 5
#: How often a claimed chunk begins again, beside once for each chunk that forestalls it: for more places, and singly.
_MOST_RESTARTS = 3


class BulkWork:
    """The chunks of one mount's jobs, as work that a worker claims, runs and gives up. `lease` is in seconds."""

    #: One waits for the database while the other computes.
    slots = 2

    def __init__(self, mount: Mount, lease: float, sleep: Callable[[float], None] = time.sleep) -> None:
        self._mount, self._storage, self._sleep = mount, mount.storage, sleep
        self.lease = lease

    def claim(self, limit: int) -> list[Piece]:
        """Claim at most `limit` chunks; each partner with work is as likely to be next as any other."""
        found: list[Piece] = []
        for _ in range(_TRIES * limit):
            if len(found) == limit or (job := self._next()) is None:
                break
            found += self._claimed(job)
        return found

    def renew(self, pieces: Iterable[Piece]) -> None:
        """Keep the claims of chunks that are being done."""
        self._storage.transaction(partial(renewed, pieces=sorted(pieces), lease=self.lease))

    def timeout(self, piece: Piece) -> float:
        """How long a chunk may take, in seconds; an atomic job is one chunk."""
        return 3600.0

    def run(self, piece: Piece) -> None:
        """Do the rows of a chunk, and end the job where it was the last one."""
        try:
            self._do(piece)
        except Superseded:
            logger.info(
                "a chunk of bulk job %s is not done: another worker has it, or it was cancelled",
                piece.job.id,
                extra=_fields(piece),
            )
            self._storage.transaction(partial(released, piece=piece))
        except Exception as error:
            if _is_of_rows(error):
                self._storage.transaction(partial(released, piece=piece))
            raise
        self._storage.transaction(partial(ending.end_if_done, job=piece.job))

    def expire(self, piece: Piece) -> None:
        """Leave a chunk to others."""
        logger.warning("a chunk of bulk job %s takes too long", piece.job.id, extra=_fields(piece))

    def stop(self) -> None:
        """Nothing: a chunk is soon done."""

    def _next(self) -> Job | None:
        """A job with something to do: of a partner by chance, and of those the oldest."""
        by_partner: dict[str, list[Job]] = defaultdict(list)
        for job in self._storage.read(open_jobs):
            by_partner[job.partner_id].append(job)
        return min(random.choice(list(by_partner.values())), key=lambda job: job.id) if by_partner else None

    def _claimed(self, job: Job) -> list[Piece]:
        piece = self._storage.transaction(partial(claimed, job=job, lease=self.lease))
        if piece is None:
            self._storage.transaction(partial(ending.end_if_done, job=job))
        return [piece] if piece else []

    def _do(self, piece: Piece) -> None:
        found = self._storage.read(partial(chunks, piece=piece))
        if not found:
            raise Superseded(piece.job.id)
        if piece.fence > MOST_CLAIMS:
            results = [given_up(self._mount, piece.job, chunk) for chunk in found]
            self._storage.transaction(partial(written, piece=piece, chunks=found, results=results))
            return
        plan = Plan(self._mount, piece, found)
        plan.reserve(self._sleep)
        for _ in range(piece.job.chunks + _MOST_RESTARTS):
            if self._is_done(plan, piece):
                return
            logger.debug("a chunk of bulk job %s begins again", piece.job.id, extra=_fields(piece))
        raise RuntimeError("a chunk of a bulk job begins again and again")

    def _is_done(self, plan: Plan, piece: Piece) -> bool:
        """Carry the plan out; returns False where it has to begin again.

        So it has where it was a rehearsal that another chunk has forestalled, where more places are needed than were
        reserved, and where a row made the database or a host's function fail: then each row is done by itself.
        """
        try:
            self._storage.transaction(plan.do)
        except Rehearsed as rehearsal:
            try:
                self._storage.transaction(partial(plan.keep, rehearsal=rehearsal))
            except Forestalled:
                return False
        except TooFewPlaces:
            plan.reserve(self._sleep, for_all=True)
            return False
        except Superseded:
            raise
        except Exception as error:
            if not _is_of_rows(error) or not plan.do_singly():
                raise
            fields = _fields(piece)
            logger.warning("rows of a bulk job failed together, and are done one by one", exc_info=True, extra=fields)
            return False
        return True


def _fields(piece: Piece) -> dict[str, Any]:
    """Return what the log says of a chunk."""
    return {"job": piece.job.id, "partner": piece.job.partner_id, "chunk": piece.number}


def _is_of_rows(error: Exception) -> bool:
    """Tell a failure that what the rows say has caused, most likely, from the database's being away."""
    return not isinstance(error, ProvisioningError) and meaning(error) is Meaning.BUG
