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
    parameters = {"now": format_instant(session.storage.clock()), "limit": limit}
    rows: list[tuple[Any, ...]] = session.run(session.storage.once(StepSQL).select_due, parameters).fetchall()
    return rows


def find_overdue_steps(session: Session, limit: int, age: float) -> list[StepKey]:
    """Return at most `limit` due steps that may have no message under way.

    These are steps that have been attempted before, as after a failure or the death of a worker. For a first attempt
    `wake` was called when it became due; such a step is returned once it has been due for `age` seconds.
    """
    now = session.storage.clock()
    parameters = {"now": format_instant(now), "before": format_instant(now - age), "limit": limit}
    keys: list[StepKey] = session.run(session.storage.once(StepSQL).select_overdue, parameters).fetchall()
    return keys


def claim_steps(storage: Storage, limit: int, lease: float, among: Sequence[StepKey] | None = None) -> list[RunStep]:
    """Claim at most `limit` due steps for `lease` seconds, of those in `among` if it is given.

    Concurrent workers each try a random sample of the due steps, so they rarely collide; where they do, the fence
    decides. No row locks across shards are needed.
    """
    for _ in range(_MAX_CLAIM_ROUNDS):
        due = storage.read(
            lambda session: find_due_steps(session, limit * 4) if among is None else _find_due_among(session, among)
        )
        if not due:
            break
        sample = sorted(random.sample(due, min(limit, len(due))))
        if claimed := storage.transaction(partial(_claim_sample, due=sample, lease=lease)):
            return claimed
    return []


def renew_leases(storage: Storage, steps: Iterable[RunStep], lease: float) -> None:
    """Extend the leases of these steps by `lease` seconds from now; a step whose fence has moved on is skipped."""

    def renew(session: Session) -> None:
        sql, until = storage.once(StepSQL), format_instant(storage.clock() + lease)
        for step in sorted(steps):
            session.run(sql.renew, {**key_columns(step), "fence": step.fence, "lease": until})

    storage.transaction(renew)


def key_columns(step: RunStep) -> dict[str, Any]:
    """Return the key of a step's row, by column."""
    return dict(zip(STEP_KEY, step, strict=False))


def _find_due_among(session: Session, keys: Sequence[StepKey]) -> list[tuple[Any, ...]]:
    """Return the steps of `keys` that are due, each as its key and its current fence."""
    now, due = format_instant(session.storage.clock()), []
    for key in keys:
        row = session.run(session.storage.once(StepSQL).select_step, dict(zip(STEP_KEY, key, strict=True))).fetchone()
        if row is not None and (step := RunStep._make(row)).due_at is not None and step.due_at <= now:
            due.append((*key, step.fence))
    return due


def _claim_sample(session: Session, due: Sequence[tuple[Any, ...]], lease: float) -> list[RunStep]:
    sql, now = session.storage.once(StepSQL), session.storage.clock()
    times, claimed = {"now": format_instant(now), "lease": format_instant(now + lease)}, []
    for *key, fence in due:
        where = dict(zip(STEP_KEY, key, strict=True))
        if session.run(sql.claim, {**where, **times, "seen": fence}).rowcount == 1:
            claimed.append(RunStep._make(session.run(sql.select_step, where).fetchone()))
    return claimed
