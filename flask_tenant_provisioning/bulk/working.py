"""Bulk jobs as work: whoever claims a chunk does its rows in one transaction, together with what came of them."""

from __future__ import annotations

import json
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from ..access import Actor, Principal
from ..database import Session, instant
from ..problems import ProvisioningError
from ..tenants import usage
from ..web.mount import Mount
from . import ending
from .checking import Checked, checked
from .doing import done_at_once, way
from .models import Chunk, Job
from .operations import Setting
from .repeating import done_once
from .results import Result, kept, refused, skipped, tallied
from .rows import read
from .statements import BulkSQL

logger = logging.getLogger(__name__)

#: How often a worker that others forestall looks again.
_TRIES = 3
#: How often a chunk is begun before its rows are given up: what kills a worker each time would do so for ever.
MOST_CLAIMS = 5


class Piece(NamedTuple):
    """A claimed chunk of a job; of an atomic one it is the first, and stands for all."""

    job: Job
    number: int
    fence: int


class Superseded(Exception):
    """Somebody else has the chunk by now, or it is done, or not to be done any more."""


class _Rehearsed(Exception):
    """Ends a transaction that is to leave nothing."""

    def __init__(self, results: list[list[Result]]) -> None:
        super().__init__()
        self.results = results


class BulkWork:
    """The chunks of one mount's jobs, as work that a worker claims, runs and gives up. `lease` is in seconds."""

    #: One waits for the database while the other computes.
    slots = 2

    def __init__(self, mount: Mount, lease: float) -> None:
        self._mount, self._storage = mount, mount.storage
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
        self._storage.transaction(partial(_renewed, pieces=sorted(pieces), lease=self.lease))

    def timeout(self, piece: Piece) -> float:
        """How long a chunk may take, in seconds; an atomic job is one chunk."""
        return 3600.0

    def run(self, piece: Piece) -> None:
        """Do the rows of a chunk, and end the job where it was the last one."""
        try:
            self._do(piece)
        except Superseded:
            logger.info("a chunk of bulk job %s is not done: it is somebody else's by now, or cancelled", piece.job.id)
            self._storage.transaction(partial(_released, piece=piece))
        self._storage.transaction(partial(ending.end_if_done, job=piece.job))

    def expire(self, piece: Piece) -> None:
        """Leave a chunk to others."""
        logger.warning("a chunk of bulk job %s takes too long", piece.job.id)

    def stop(self) -> None:
        """Nothing: a chunk is soon done."""

    def _next(self) -> Job | None:
        """A job with something to do: of a partner by chance, and of those the oldest."""
        by_partner: dict[str, list[Job]] = defaultdict(list)
        for job in self._storage.read(_open_jobs):
            by_partner[job.partner_id].append(job)
        return min(random.choice(list(by_partner.values())), key=lambda job: job.id) if by_partner else None

    def _claimed(self, job: Job) -> list[Piece]:
        piece = self._storage.transaction(partial(_claimed, job=job, lease=self.lease))
        if piece is None:
            self._storage.transaction(partial(ending.end_if_done, job=job))
        return [piece] if piece else []

    def _do(self, piece: Piece) -> None:
        chunks = self._storage.read(partial(_chunks, piece=piece))
        if not chunks:
            raise Superseded(piece.job.id)
        if piece.fence > MOST_CLAIMS:
            results = [list(_given_up(self._mount, piece.job, chunk)) for chunk in chunks]
            self._storage.transaction(partial(_written, piece=piece, chunks=chunks, results=results))
            return
        plan = _Plan(self._mount, piece, chunks)
        try:
            self._storage.transaction(plan.do)
        except _Rehearsed as rehearsed:
            self._storage.transaction(partial(_written, piece=piece, chunks=chunks, results=rehearsed.results))


class _Plan:
    """What is to be done for a piece, as far as it can be known before the transaction."""

    def __init__(self, mount: Mount, piece: Piece, chunks: Sequence[Chunk]) -> None:
        job = self._job = piece.job
        self._piece, self._chunks = piece, chunks
        self._way = way(mount, job.operation)
        rows = (read(chunk, cells=bool(job.cells), own=mount.hooks.fields) for chunk in chunks)
        self._rows: list[list[Checked]] = [
            [checked(mount, job, row, at_once=self._way is done_at_once) for row in some] for some in rows
        ]
        allowance = usage.allowance(mount.storage, mount.license)
        self._setting = Setting(mount, _actor(job), job.partner_id, allowance)

    def do(self, session: Session) -> None:
        """Do all rows, and write down what came of them. Raises `Superseded`, and `_Rehearsed` for a rehearsal."""
        results = [done_once(session, self._setting, self._job, rows, self._way) for rows in self._rows]
        if self._job.mode == "atomic" and any(one.state == "failed" for some in results for one in some):
            raise _Rehearsed([[skipped(one) for one in some] for some in results])
        session.flush()
        if self._job.rehearsal:
            raise _Rehearsed(results)
        if self._job.mode == "atomic" and not ending.goes_on(session, self._job):
            raise Superseded(self._job.id)
        _written(session, self._piece, self._chunks, results)


def _actor(job: Job) -> Actor:
    """Who began the job."""
    subject, partner, *origin = json.loads(job.actor)
    return Actor(Principal(subject, partner), *origin)


def _given_up(mount: Mount, job: Job, chunk: Chunk) -> Iterator[Result]:
    logger.error("chunk %d of bulk job %s was begun %d times and never ended", chunk.number, job.id, chunk.fence - 1)
    for row in read(chunk, cells=bool(job.cells), own=mount.hooks.fields):
        yield refused(row.number, row.line, row.external_id, row.problem or ProvisioningError())


def is_due(session: Session) -> bool:
    """Whether any job has something to do."""
    return bool(_open_jobs(session))


def _open_jobs(session: Session) -> list[Job]:
    now = {"now": instant(session.storage.clock())}
    return [Job._make(row) for row in session.run(session.storage.once(BulkSQL).open_jobs, now).fetchall()]


def _claimed(session: Session, job: Job, lease: float) -> Piece | None:
    """The first chunk that nobody has; None where there is none, or others were faster."""
    sql, now = session.storage.once(BulkSQL), session.storage.clock()
    where = {"partner_id": job.partner_id, "job_id": job.id}
    times = {"now": instant(now), "lease": instant(now + lease)}
    wanted = 1 if job.mode == "atomic" else 16
    free = session.run(sql.free, {**where, **times, "limit": wanted}).fetchall()
    if job.mode == "atomic":
        free = [one for one in free if one[0] == 1]
    if not free:
        return None
    number, fence = random.choice(free)
    if session.run(sql.claim, {**where, **times, "number": number, "seen": fence}).rowcount != 1:
        return None
    session.run(sql.begin, {**where, **times})
    return Piece(job, number, fence + 1)


def _renewed(session: Session, pieces: Sequence[Piece], lease: float) -> None:
    until = instant(session.storage.clock() + lease)
    for piece in pieces:
        session.run(session.storage.once(BulkSQL).renew, {**_key(piece, piece.number), "lease": until})


def _released(session: Session, piece: Piece) -> None:
    """Let others have the chunk at once, as far as it is still this piece's."""
    session.run(session.storage.once(BulkSQL).renew, {**_key(piece, piece.number), "lease": None})


def _chunks(session: Session, piece: Piece) -> list[Chunk]:
    """The chunk, as long as it is this piece's; all of the job's where that is atomic."""
    numbers = range(1, piece.job.chunks + 1) if piece.job.mode == "atomic" else (piece.number,)
    rows = (session.run(session.storage.once(BulkSQL).chunk, _key(piece, number)).fetchone() for number in numbers)
    chunks = [Chunk._make(row) for row in rows]
    return [] if any(one.done_at for one in chunks) else chunks


def _written(session: Session, piece: Piece, chunks: Sequence[Chunk], results: Sequence[Sequence[Result]]) -> None:
    """Write down what came of the rows. Raises `Superseded` where that is somebody else's business by now."""
    at = instant(session.storage.clock())
    for chunk, some in zip(chunks, results, strict=True):
        values = {**tallied(some)._asdict(), "results": kept(some), "done_at": at}
        new = {f"new_{name}": value for name, value in values.items()}
        fence = piece.fence if chunk.number == piece.number else chunk.fence
        key = _key(piece, chunk.number) | {"fence": fence}
        if session.run(session.storage.once(BulkSQL).finish, {**key, **new}).rowcount != 1:
            raise Superseded(piece.job.id)


def _key(piece: Piece, number: int) -> dict[str, object]:
    return {"partner_id": piece.job.partner_id, "job_id": piece.job.id, "number": number, "fence": piece.fence}
