"""Pieces of bulk jobs: claimed, kept, let go, and done with all that came of them, as long as they are one's own."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

from ..database import Session, instant, renewal
from .models import Chunk, Job
from .packing import packed, unpacked
from .results import Result, kept, tallied
from .statements import BulkSQL


class Piece(NamedTuple):
    """A claimed chunk of a job; of an atomic one it is the first, and stands for all."""

    job: Job
    number: int
    fence: int


class Superseded(Exception):
    """Somebody else has the chunk by now, or it is done, or not to be done any more."""


def open_jobs(session: Session) -> list[Job]:
    """The jobs that have something to do."""
    now = {"now": instant(session.storage.clock())}
    return [Job._make(row) for row in session.run(session.storage.once(BulkSQL).open_jobs, now).fetchall()]


def claimed(session: Session, job: Job, lease: float) -> Piece | None:
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


def renewed(session: Session, pieces: Sequence[Piece], lease: float) -> None:
    """Keep the claims of pieces for so many seconds more."""
    until = instant(session.storage.clock() + lease)
    for piece in pieces:
        session.run(session.storage.once(BulkSQL).renew, {**_key(piece, piece.number), "lease": until})


def released(session: Session, piece: Piece) -> None:
    """Let others have the chunk at once, as far as it is still this piece's."""
    session.run(session.storage.once(BulkSQL).renew, {**_key(piece, piece.number), "lease": None})


def chunks(session: Session, piece: Piece) -> list[Chunk]:
    """The chunk, as long as it is this piece's; all of the job's where that is atomic."""
    numbers = range(1, piece.job.chunks + 1) if piece.job.mode == "atomic" else (piece.number,)
    rows = (session.run(session.storage.once(BulkSQL).chunk, _key(piece, number)).fetchone() for number in numbers)
    chunks = [Chunk._make(row) for row in rows]
    return [] if any(one.done_at for one in chunks) else chunks


def written(session: Session, piece: Piece, chunks: Sequence[Chunk], results: Sequence[Sequence[Result]]) -> None:
    """Write down what came of the rows. Raises `Superseded` where that is somebody else's business by now."""
    at = instant(session.storage.clock())
    for chunk, some in zip(chunks, results, strict=True):
        payload = chunk.payload if piece.job.rehearsal else _correctable(chunk, some)
        values = {**tallied(some)._asdict(), "results": kept(some), "done_at": at, "payload": payload}
        new = renewal(values)
        fence = piece.fence if chunk.number == piece.number else chunk.fence
        key = _key(piece, chunk.number) | {"fence": fence}
        if session.run(session.storage.once(BulkSQL).finish, {**key, **new}).rowcount != 1:
            raise Superseded(piece.job.id)


def _correctable(chunk: Chunk, results: Sequence[Result]) -> bytes:
    """The payload of a chunk without the rows that took effect: only the others can be corrected and sent again."""
    wanted = [one.state in ("failed", "skipped") for one in results]
    if all(wanted):
        return chunk.payload
    lines = unpacked(chunk.payload).split(b"\n") if any(wanted) else [b""] * len(results)
    return packed(b"\n".join(line if is_wanted else b"" for line, is_wanted in zip(lines, wanted, strict=True)))


def _key(piece: Piece, number: int) -> dict[str, object]:
    return {"partner_id": piece.job.partner_id, "job_id": piece.job.id, "number": number, "fence": piece.fence}
