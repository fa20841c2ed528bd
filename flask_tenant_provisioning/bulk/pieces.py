"""Pieces of bulk jobs: claimed, kept, let go, and done with all that came of them, as long as they are one's own."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..database import Session, Storage, instant, renewal
from ..tenants import room
from ..tenants.counting import Limit
from ..tenants.room import Found, Places
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
    """Let others have the chunk at once, and the places reserved for it, as far as it is still this piece's."""
    key = _key(piece, piece.number)
    if give_back(session, key):
        session.run(session.storage.once(BulkSQL).renew, {**key, "lease": None})


def reserve(session: Session, piece: Piece, limits: Iterable[Limit], wanted: int, *, is_patient: bool) -> Found:
    """Reserve up to `wanted` places for the tenants of a chunk, in place of those that it had.

    Where others may yet give some back, one that `is_patient` reserves none. Raises `Superseded`.
    """
    key = _key(piece, piece.number)
    if not give_back(session, key):
        raise Superseded(piece.job.id)
    found = room.look(session, limits, wanted)
    if not (is_patient and found.is_contended):
        _keep_room(session, key, room.keep(session, piece.job.partner_id, found))
    return found


def give_back(session: Session, key: dict[str, Any]) -> bool:
    """Give back the places that are reserved for a chunk; returns False where another claim has it by now."""
    row = session.run(session.storage.once(BulkSQL).lock_room, key).fetchone()
    if row is None:
        return False
    if any(row):
        _keep_room(session, key, Places())
        room.settle(session, key["partner_id"], Places(*row), 0)
    return True


def give_back_forgotten(storage: Storage) -> None:
    """Give back the places of chunks whose workers have died, and which nobody has claimed since."""
    sql, now = storage.once(BulkSQL), instant(storage.clock())
    found = storage.read(lambda session: session.run(sql.forgotten_rooms, {"now": now, "limit": 100}).fetchall())
    for row in found:
        key = dict(zip(("partner_id", "job_id", "number", "fence"), row, strict=True))
        storage.transaction(partial(_take_over, key=key, now=now))


def _take_over(session: Session, key: dict[str, Any], now: str) -> None:
    """Give back the places of one chunk; should its worker live after all, it has lost its claim."""
    if session.run(session.storage.once(BulkSQL).take_over, {**key, "now": now}).rowcount:
        give_back(session, {**key, "fence": key["fence"] + 1})


def _keep_room(session: Session, key: dict[str, Any], places: Places) -> None:
    values = renewal({"license_room": places.license, "partner_room": places.partner})
    session.run(session.storage.once(BulkSQL).keep_room, {**key, **values})


def chunks(session: Session, piece: Piece) -> list[Chunk]:
    """The chunk, as long as it is this piece's; all of the job's where that is atomic."""
    numbers = range(1, piece.job.chunks + 1) if piece.job.mode == "atomic" else (piece.number,)
    rows = (session.run(session.storage.once(BulkSQL).chunk, _key(piece, number)).fetchone() for number in numbers)
    chunks = [Chunk._make(row) for row in rows]
    return [] if any(one.done_at for one in chunks) else chunks


def written(
    session: Session, piece: Piece, chunks: Sequence[Chunk], results: Sequence[Sequence[Result]], more: int = 0
) -> None:
    """Write down what came of the rows, give back the places reserved for them, and count so many tenants `more`.

    Raises `Superseded` where the chunk is no longer this piece's. The counters are locked from here on: do it last.
    """
    at = instant(session.storage.clock())
    row = session.run(session.storage.once(BulkSQL).lock_room, _key(piece, piece.number)).fetchone()
    places = Places(*row) if row else Places()
    for chunk, some in zip(chunks, results, strict=True):
        payload = chunk.payload if piece.job.rehearsal else _correctable(chunk, some)
        written = {"results": kept(some), "done_at": at, "payload": payload}
        values = {**tallied(some)._asdict(), **written, "license_room": 0, "partner_room": 0}
        new = renewal(values)
        fence = piece.fence if chunk.number == piece.number else chunk.fence
        key = _key(piece, chunk.number) | {"fence": fence}
        if session.run(session.storage.once(BulkSQL).finish, {**key, **new}).rowcount != 1:
            raise Superseded(piece.job.id)
    room.settle(session, piece.job.partner_id, places, more)


def _correctable(chunk: Chunk, results: Sequence[Result]) -> bytes:
    """The payload of a chunk without the rows that took effect: only the others can be corrected and sent again."""
    wanted = [one.state in ("failed", "skipped") for one in results]
    if all(wanted):
        return chunk.payload
    lines = unpacked(chunk.payload).split(b"\n") if any(wanted) else [b""] * len(results)
    return packed(b"\n".join(line if is_wanted else b"" for line, is_wanted in zip(lines, wanted, strict=True)))


def _key(piece: Piece, number: int) -> dict[str, Any]:
    return {"partner_id": piece.job.partner_id, "job_id": piece.job.id, "number": number, "fence": piece.fence}
