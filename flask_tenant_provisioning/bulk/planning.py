"""What is to be done for a piece of a job, worked out before its transaction, and the transaction."""

from __future__ import annotations

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from functools import partial

from ..access import Actor, Principal
from ..database import Session
from ..problems import ProvisioningError
from ..tenants import usage
from ..web.mount import Mount
from . import ending
from .checking import Checked, checked
from .doing import done_at_once, way
from .models import Chunk, Job
from .operations import Setting
from .pieces import Piece, Superseded, written
from .rehearsing import Rehearsed, keep_meant, meant, rehearsed
from .repeating import done_once
from .results import Result, refused, skipped
from .rows import read

logger = logging.getLogger(__name__)


class Plan:
    """What is to be done for a piece, as far as it can be known before the transaction."""

    def __init__(self, mount: Mount, piece: Piece, chunks: Sequence[Chunk]) -> None:
        job = self._job = piece.job
        self._piece, self._chunks = piece, chunks
        self._way = way(mount, job.operation)
        rows = (read(chunk, cells=bool(job.cells), own=mount.hooks.fields) for chunk in chunks)
        self._rows: list[list[Checked]] = [
            [checked(mount, job, row, at_once=self._way is done_at_once) for row in some] for some in rows
        ]
        allowance = usage.allowance(mount, job.partner_id)
        self._setting = Setting(mount, _actor(job), job.partner_id, allowance)

    def do(self, session: Session) -> None:
        """Do all rows, and write down what came of them. Raises `Superseded`, and `Rehearsed` for a rehearsal."""
        results = [self._done(session, rows) for rows in self._rows]
        if self._job.mode == "atomic" and any(one.state == "failed" for some in results for one in some):
            raise Rehearsed([[skipped(one) for one in some] for some in results], {})
        session.flush()
        if self._job.rehearsal:
            found = (meant(rows, some) for rows, some in zip(self._rows, results, strict=True))
            raise Rehearsed(results, dict(itertools.chain(*found)))
        if self._job.mode == "atomic" and not ending.goes_on(session, self._job):
            raise Superseded(self._job.id)
        written(session, self._piece, self._chunks, results)

    def keep(self, session: Session, rehearsal: Rehearsed) -> None:
        """Write down what would come of a rehearsal's rows. Raises `Superseded` and `Forestalled`."""
        if self._job.mode == "partial":
            keep_meant(session, self._job, rehearsal)
        written(session, self._piece, self._chunks, rehearsal.results)

    def _done(self, session: Session, rows: Sequence[Checked]) -> list[Result]:
        way = self._way
        if self._job.rehearsal and self._job.mode == "partial":
            way = partial(rehearsed, way=way)
        return done_once(session, self._setting, self._job, rows, way)


def _actor(job: Job) -> Actor:
    """Who began the job."""
    subject, partner, *origin = json.loads(job.actor)
    return Actor(Principal(subject, partner), *origin)


def given_up(mount: Mount, job: Job, chunk: Chunk) -> Iterator[Result]:
    """What comes of the rows of a chunk that was begun too often."""
    begun, extra = chunk.fence - 1, {"job": job.id, "partner": job.partner_id, "chunk": chunk.number}
    logger.error("chunk %d of bulk job %s was begun %d times and never ended", chunk.number, job.id, begun, extra=extra)
    for row in read(chunk, cells=bool(job.cells), own=mount.hooks.fields):
        yield refused(row.number, row.line, row.external_id, row.problem or ProvisioningError())
