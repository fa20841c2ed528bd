"""What is to be done for a piece of a job, worked out before its transaction, and the transaction."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from ..access import Actor, Principal
from ..database import Session
from ..problems import ProvisioningError
from ..tenants import room, usage
from ..tenants.conflicts import holders
from ..tenants.room import Found, Room
from ..web.mount import Mount
from . import ending, pieces
from .checking import Checked, checked
from .doing import way
from .models import Chunk, Job
from .operations import Setting
from .pieces import Piece, Superseded, give_back_forgotten, written
from .rehearsing import Rehearsed, keep_meant, meant, rehearsed
from .repeating import done_once
from .results import ErrorRoom, Result, refused, skipped
from .rows import read
from .singly import done_singly

logger = logging.getLogger(__name__)

#: How often, and how many seconds apart, a chunk for which too few places are free asks for those that others reserved.
_ASKS, _PAUSE = 50, 0.1


class Plan:
    """What is to be done for a piece, as far as it can be known before the transaction."""

    def __init__(self, mount: Mount, piece: Piece, chunks: Sequence[Chunk]) -> None:
        job = self._job = piece.job
        self._mount, self._piece, self._chunks = mount, piece, chunks
        self._way = way(mount, job.operation)
        rows = (read(chunk, cells=bool(job.cells), own=mount.hooks.fields) for chunk in chunks)
        self._errors = ErrorRoom()
        self._rows: list[list[Checked]] = [[self._trimmed(checked(mount, job, row)) for row in some] for some in rows]
        self._actor = _actor(job)
        self._allowance = usage.allowance(mount, job.partner_id)
        self._found: Found | None = None

    def reserve(self, sleep: Callable[[float], None], *, for_all: bool = False) -> None:
        """Reserve a place for each tenant that the rows may make, or `for_all` rows, in a transaction of its own.

        Where places are short that others have reserved, wait some seconds for what they give back. Raises
        `Superseded`.
        """
        if not self._allowance.limits or self._job.operation not in ("create", "upsert"):
            return
        storage = self._mount.storage
        for asks_left in reversed(range(_ASKS)):
            work = partial(self._reserved, is_patient=asks_left > 0, for_all=for_all)
            self._found = storage.transaction(work)
            if not self._found.is_contended or not asks_left:
                return
            give_back_forgotten(storage)
            sleep(_PAUSE)

    def do_singly(self) -> bool:
        """Do one row after the other from now on, each whole or not at all; returns False where that is so already."""
        was_singly, self._way = self._way is done_singly, done_singly
        return not was_singly

    def do(self, session: Session) -> None:
        """Do all rows, and write down what came of them.

        Raises `Superseded`, `Rehearsed` for a rehearsal, and `TooFewPlaces` where more tenants would come into being
        than places were reserved for.
        """
        left = Room() if self._found is None else Room(self._found.granted, self._found.problem)
        allowance = dataclasses.replace(self._allowance, room=left)
        setting = Setting(self._mount, self._actor, self._job.partner_id, allowance, left, {})
        results, errors = [], ErrorRoom()
        for rows in self._rows:
            results.append(self._done(session, setting, rows))
            for problem in (one.problem for one in results[-1] if one.problem is not None):
                errors.trim(problem.get("errors", []), problem)
        if self._job.mode == "atomic" and any(one.state == "failed" for some in results for one in some):
            raise Rehearsed([[skipped(one) for one in some] for some in results], {})
        session.flush()
        if self._job.rehearsal:
            found = (meant(rows, some) for rows, some in zip(self._rows, results, strict=True))
            raise Rehearsed(results, dict(itertools.chain(*found)))
        if self._job.mode == "atomic" and not ending.goes_on(session, self._job):
            raise Superseded(self._job.id)
        written(session, self._piece, self._chunks, results, self._more(itertools.chain(*results)))

    def keep(self, session: Session, rehearsal: Rehearsed) -> None:
        """Write down what would come of a rehearsal's rows. Raises `Superseded` and `Forestalled`."""
        if self._job.mode == "partial":
            keep_meant(session, self._job, rehearsal)
        written(session, self._piece, self._chunks, rehearsal.results)

    def _trimmed(self, one: Checked) -> Checked:
        """The row with as many of its errors as there is room for."""
        if one.problem is not None:
            self._errors.trim(one.problem.errors, one.problem.members)
        return one

    def _reserved(self, session: Session, is_patient: bool, for_all: bool) -> Found:
        limits, wanted = self._allowance.limits, self._wanted(session, for_all=for_all)
        if self._job.rehearsal:
            return room.look(session, limits, wanted)._replace(is_contended=False)
        return pieces.reserve(session, self._piece, limits, wanted, is_patient=is_patient)

    def _wanted(self, session: Session, *, for_all: bool) -> int:
        """Return how many tenants the rows make, most likely: none that is there already, and each once."""
        values = [one.act.values for one in itertools.chain(*self._rows) if one.act and one.act.values is not None]
        if for_all:
            return len(values)
        names = {"external_id": "external_id"}
        if self._job.operation == "create":
            names["email"] = "email_key"
        claims = [[(field, one[name]) for field, name in names.items() if one.get(name)] for one in values]
        held = holders(session, self._job.partner_id, itertools.chain(*claims))
        return len({tuple(some) for some in claims if not any(claim in held for claim in some)})

    def _more(self, results: Iterator[Result]) -> int:
        """Return how many tenants there are more than before."""
        succeeded = [one for one in results if one.state == "succeeded"]
        if self._job.operation == "delete":
            return -len(succeeded)
        return sum(one.status == 201 for one in succeeded)

    def _done(self, session: Session, setting: Setting, rows: Sequence[Checked]) -> list[Result]:
        way = self._way
        if self._job.rehearsal and self._job.mode == "partial":
            way = partial(rehearsed, way=way)
        return done_once(session, setting, self._job, rows, way)


def _actor(job: Job) -> Actor:
    """Who began the job."""
    subject, partner, *origin = json.loads(job.actor)
    return Actor(Principal(subject, partner), *origin)


def given_up(mount: Mount, job: Job, chunk: Chunk) -> list[Result]:
    """What comes of the rows of a chunk that was begun too often."""
    begun, extra = chunk.fence - 1, {"job": job.id, "partner": job.partner_id, "chunk": chunk.number}
    logger.error("chunk %d of bulk job %s was begun %d times and never ended", chunk.number, job.id, begun, extra=extra)
    try:
        rows = list(read(chunk, cells=bool(job.cells), own=mount.hooks.fields))
    except Exception:
        logger.exception("chunk %d of bulk job %s cannot be read", chunk.number, job.id, extra=extra)
        lines = itertools.count(chunk.first_line)
        numbers = range(chunk.first_row, chunk.first_row + chunk.rows)
        return [refused(number, line, None, ProvisioningError()) for number, line in zip(numbers, lines, strict=False)]
    return [refused(row.number, row.line, row.external_id, row.problem or ProvisioningError()) for row in rows]
