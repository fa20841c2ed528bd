"""Claim due steps with a lease and a fencing token, in short transactions; the work itself runs outside of any."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ..database.ids import format_instant
from ..database.session import Session, Storage
from .models import RunStep
from .statements import STEP_KEY, StepSQL

#: Attempts to claim before a worker gives up because others were faster.
_MAX_CLAIM_ROUNDS = 3

#: The key of a step: partner, tenant, phase and name.
StepKey = tuple[str, str, str, str]


def find_due_steps(session: Session, limit: int) -> list[tuple[Any, ...]]:
    """Return at most `limit` due steps, the longest due first, each as its key and its current fence."""
    wanted = {"now": format_instant(session.storage.clock()), "limit": limit}
    found: list[tuple[Any, ...]] = session.run(session.storage.once(StepSQL).due, wanted).fetchall()
    return found


def find_overdue_steps(session: Session, limit: int, age: float) -> list[StepKey]:
    """Return at most `limit` due steps that may have no message under way.

    These are steps that have been attempted before, as after a failure or the death of a worker. For a first attempt
    `wake` was called when it became due; such a step is returned once it has been due for `age` seconds.
    """
    now = session.storage.clock()
    wanted = {"now": format_instant(now), "before": format_instant(now - age), "limit": limit}
    found: list[StepKey] = session.run(session.storage.once(StepSQL).overdue, wanted).fetchall()
    return found


def claim_steps(storage: Storage, limit: int, lease: float, among: Sequence[StepKey] | None = None) -> list[RunStep]:
    """Claim at most `limit` due steps for `lease` seconds, of those in `among` if it is given.

    Concurrent workers each try a random sample of the due steps, so they rarely collide; where they do, the fence
    decides. No row locks across shards are needed.
    """
    for _ in range(_MAX_CLAIM_ROUNDS):
        seen = storage.read(
            lambda session: find_due_steps(session, limit * 4) if among is None else _find_due_among(session, among)
        )
        if not seen:
            break
        chosen = sorted(random.sample(seen, min(limit, len(seen))))
        if found := storage.transaction(partial(_claim_found, seen=chosen, lease=lease)):
            return found
    return []


def renew_leases(storage: Storage, stages: Iterable[RunStep], lease: float) -> None:
    """Extend the leases of these steps by `lease` seconds from now; a step whose fence has moved on is skipped."""

    def unit(session: Session) -> None:
        sql, until = storage.once(StepSQL), format_instant(storage.clock() + lease)
        for stage in sorted(stages):
            session.run(sql.renew, {**key_columns(stage), "fence": stage.fence, "lease": until})

    storage.transaction(unit)


def key_columns(stage: RunStep) -> dict[str, Any]:
    """Return the key of a step's row, by column."""
    return dict(zip(STEP_KEY, stage, strict=False))


def _find_due_among(session: Session, keys: Sequence[StepKey]) -> list[tuple[Any, ...]]:
    """Return the steps of `keys` that are due, each as its key and its current fence."""
    now, found = format_instant(session.storage.clock()), []
    for key in keys:
        row = session.run(session.storage.once(StepSQL).stage, dict(zip(STEP_KEY, key, strict=True))).fetchone()
        if row is not None and (stage := RunStep._make(row)).due_at is not None and stage.due_at <= now:
            found.append((*key, stage.fence))
    return found


def _claim_found(session: Session, seen: Sequence[tuple[Any, ...]], lease: float) -> list[RunStep]:
    sql, now = session.storage.once(StepSQL), session.storage.clock()
    times, found = {"now": format_instant(now), "lease": format_instant(now + lease)}, []
    for *key, fence in seen:
        where = dict(zip(STEP_KEY, key, strict=True))
        if session.run(sql.claim, {**where, **times, "seen": fence}).rowcount == 1:
            found.append(RunStep._make(session.run(sql.stage, where).fetchone()))
    return found
