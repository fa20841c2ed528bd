"""Claimed chunks: claim, release, reserve and return places for their tenants, and save their results."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from ..database.errors import LeaseLost
from ..database.ids import format_instant
from ..database.lease import Claim, bind_claim
from ..database.session import Session, Storage
from ..database.statements import name_new_values
from ..tenants import quotas
from ..tenants.quotas import FreePlaces, Quota, ReservedPlaces
from .models import Chunk, Job
from .results import RowResult, Tally, compress, decompress, encode_results, tally_results
from .statements import BulkSQL


class ClaimedChunk(NamedTuple):
    """A claimed chunk of a job, claimed `claims` times by now.

    In an atomic job the claim of the first chunk covers all chunks.
    """

    job: Job
    number: int
    fence: int
    claims: int

    @property
    def key(self) -> dict[str, Any]:
        """The primary key of the chunk, by column."""
        return {**self.job.key, "number": self.number}


def load_due_jobs(session: Session) -> list[Job]:
    """Load the jobs that have work left."""
    now = {"now": format_instant(session.storage.clock())}
    return [Job._make(row) for row in session.run(session.storage.once(BulkSQL).due_jobs, now).fetchall()]


def claim_chunk(session: Session, job: Job, lease_seconds: float) -> ClaimedChunk | None:
    """Claim a free chunk of the job for `lease_seconds`. Return None if none is free or another worker won the race."""
    sql, now = session.storage.once(BulkSQL), {"now": format_instant(session.storage.clock())}
    free = session.run(sql.free_chunks, {**job.key, **now, "limit": 1 if job.mode == "atomic" else 16}).fetchall()
    if job.mode == "atomic":
        free = [row for row in free if row[0] == 1]
    if not free:
        return None
    number, fence, claims = random.choice(free)
    if not sql.lease.claim(session, [(job.partner_id, job.id, number, fence)], lease_seconds):
        return None
    session.run(sql.start_job, {**job.key, **now})
    return ClaimedChunk(job, number, fence + 1, claims + 1)


def release_chunk(session: Session, claimed_chunk: ClaimedChunk) -> None:
    """Release a chunk and its reserved quota for other workers. Do nothing if another worker has claimed it."""
    if return_places(session, bind_claim(claimed_chunk)):
        session.storage.once(BulkSQL).lease.release(session, claimed_chunk)


def reserve_quota(
    session: Session, claimed_chunk: ClaimedChunk, limits: Iterable[Quota], tenants: int, *, is_patient: bool
) -> FreePlaces:
    """Reserve places for up to `tenants` new tenants of the chunk, replacing an earlier reservation.

    With `is_patient`, reserve nothing while other workers may still return places. Raises `LeaseLost`.
    """
    key = bind_claim(claimed_chunk)
    if not return_places(session, key):
        raise LeaseLost(claimed_chunk.job.id)
    places = quotas.find_free_places(session, limits, tenants)
    if not (is_patient and places.is_contended):
        _save_reserved_quota(session, key, quotas.reserve_places(session, claimed_chunk.job.partner_id, places))
    return places


def return_places(session: Session, key: dict[str, Any]) -> bool:
    """Return the places reserved for a chunk. Return False if the claim was lost."""
    row = session.run(session.storage.once(BulkSQL).lock_reserved_quota, key).fetchone()
    if row is None:
        return False
    if any(row):
        _save_reserved_quota(session, key, ReservedPlaces())
        quotas.settle_reservation(session, key["partner_id"], ReservedPlaces(*row), 0)
    return True


def return_abandoned_places(storage: Storage) -> None:
    """Return the places of chunks whose lease expired and that no worker has claimed since."""
    sql, now = storage.once(BulkSQL), format_instant(storage.clock())
    abandoned = storage.read(lambda session: session.run(sql.abandoned_quota, {"now": now, "limit": 100}).fetchall())
    for row in abandoned:
        key = dict(zip(("partner_id", "job_id", "number", "fence"), row, strict=True))
        storage.transaction(partial(_return_places_of_abandoned_chunk, key=key, now=now))


def _return_places_of_abandoned_chunk(session: Session, key: dict[str, Any], now: str) -> None:
    """Return the places of one chunk, and invalidate its claim in case the worker is still running."""
    if session.run(session.storage.once(BulkSQL).invalidate_claim, {**key, "now": now}).rowcount:
        return_places(session, {**key, "fence": key["fence"] + 1})


def _save_reserved_quota(session: Session, key: dict[str, Any], places: ReservedPlaces) -> None:
    values = name_new_values({"license_room": places.license, "partner_room": places.partner})
    session.run(session.storage.once(BulkSQL).save_reserved_quota, {**key, **values})


def load_chunks(session: Session, claimed_chunk: ClaimedChunk) -> list[Chunk]:
    """Load the claimed chunk, or all chunks of an atomic job.

    Returns an empty list if one of them is already done.
    """
    numbers = range(1, claimed_chunk.job.chunks + 1) if claimed_chunk.job.mode == "atomic" else (claimed_chunk.number,)
    statement = session.storage.once(BulkSQL).chunk
    rows = (session.run(statement, {**claimed_chunk.job.key, "number": number}).fetchone() for number in numbers)
    chunks = [Chunk._make(row) for row in rows]
    return [] if any(chunk.done_at for chunk in chunks) else chunks


def save_results(
    session: Session,
    claimed_chunk: ClaimedChunk,
    chunks: Sequence[Chunk],
    results: Sequence[Sequence[RowResult]],
    added_tenants: int = 0,
) -> Tally:
    """Save the results of the rows, return the reserved places, and add `added_tenants` to the tenant counters.
    Returns the counts of the rows by result.

    Except in a dry run, the stored lines of rows that took effect are emptied. Call it last in the transaction, since
    it locks the counters. Raises `LeaseLost` if the claim is no longer valid.
    """
    at = format_instant(session.storage.clock())
    row = session.run(session.storage.once(BulkSQL).lock_reserved_quota, bind_claim(claimed_chunk)).fetchone()
    places = ReservedPlaces(*row) if row else ReservedPlaces()
    tallies = [tally_results(chunk_results) for chunk_results in results]
    for chunk, chunk_results, tally in zip(chunks, results, tallies, strict=True):
        payload = chunk.payload if claimed_chunk.job.rehearsal else _keep_correctable_rows(chunk, chunk_results)
        outcome = {"results": encode_results(chunk_results), "done_at": at, "payload": payload}
        values = {**tally._asdict(), **outcome, "license_room": 0, "partner_room": 0}
        # `chunk` was read after the claim, so its fence may be that of a later claim. The other chunks of an atomic job
        # are never claimed: theirs is the one that was read.
        claim: Claim = claimed_chunk if chunk.number == claimed_chunk.number else chunk
        statement = session.storage.once(BulkSQL).finish_chunk
        if session.run(statement, {**bind_claim(claim), **name_new_values(values)}).rowcount != 1:
            raise LeaseLost(claimed_chunk.job.id)
    quotas.settle_reservation(session, claimed_chunk.job.partner_id, places, added_tenants)
    return Tally(*map(sum, zip(*tallies, strict=True)))


def _keep_correctable_rows(chunk: Chunk, results: Sequence[RowResult]) -> bytes:
    """Return the payload without the lines of rows that took effect: only the others can be sent again."""
    correctable = [result.state in ("failed", "skipped") for result in results]
    if all(correctable):
        return chunk.payload
    lines = decompress(chunk.payload).split(b"\n") if any(correctable) else [b""] * len(results)
    return compress(b"\n".join(line if is_kept else b"" for line, is_kept in zip(lines, correctable, strict=True)))
