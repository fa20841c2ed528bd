"""Who works on a step: a claim is taken in a short transaction, and the work is done outside of any."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ..database.ids import format_instant
from ..database.session import Session, Storage
from .models import RunStep
from .statements import STEP_KEY, StepSQL

#: How often a worker that others forestall looks again.
_MAX_CLAIM_ROUNDS = 3

#: A step by partner, tenant, phase and name.
StepKey = tuple[str, str, str, str]


def find_due_steps(session: Session, limit: int) -> list[tuple[Any, ...]]:
    """The first steps that are due, each as its key and the fence that was seen."""
    wanted = {"now": format_instant(session.storage.clock()), "limit": limit}
    found: list[tuple[Any, ...]] = session.run(session.storage.once(StepSQL).due, wanted).fetchall()
    return found


def find_overdue_steps(session: Session, limit: int, age: float) -> list[StepKey]:
    """The first steps that are due and of which no engine may know.

    So are those to be tried again, and those that a dead worker left; for all others `wake` was called when they became
    due, and they count once they have been due for `age` seconds.
    """
    now = session.storage.clock()
    wanted = {"now": format_instant(now), "before": format_instant(now - age), "limit": limit}
    found: list[StepKey] = session.run(session.storage.once(StepSQL).overdue, wanted).fetchall()
    return found


def claim_steps(storage: Storage, limit: int, lease: float, among: Sequence[StepKey] | None = None) -> list[RunStep]:
    """Claim at most `limit` steps that are due, for `lease` seconds; `among` names those that are meant.

    Several workers may do so at once. Each takes some of what all of them see, so that they seldom meet; where they
    do, the fence decides. No database has to lock rows across shards for it.
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
    """Say that these are still being worked on."""

    def unit(session: Session) -> None:
        sql, until = storage.once(StepSQL), format_instant(storage.clock() + lease)
        for stage in sorted(stages):
            session.run(sql.renew, {**key_columns(stage), "fence": stage.fence, "lease": until})

    storage.transaction(unit)


def key_columns(stage: RunStep) -> dict[str, Any]:
    """The key of a step's row, by column."""
    return dict(zip(STEP_KEY, stage, strict=False))


def _find_due_among(session: Session, keys: Sequence[StepKey]) -> list[tuple[Any, ...]]:
    """Those of `keys` that are due."""
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
