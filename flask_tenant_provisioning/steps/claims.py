"""Find due steps, and claim them in short transactions; the work itself runs outside of any."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

from ..database.ids import format_instant
from ..database.lease import CLAIM_ATTEMPTS
from ..database.session import Session, Storage
from .models import STEP_KEY, RunStep
from .statements import StepSQL

#: The key of a step: partner, tenant, phase and name.
StepKey = tuple[str, str, str, str]


def find_due_steps(session: Session, limit: int) -> list[tuple[Any, ...]]:
    """Return at most `limit` due steps, the longest due first, each as its key and its current fence."""
    parameters = {"now": format_instant(session.storage.clock()), "limit": limit}
    rows: list[tuple[Any, ...]] = session.run(session.storage.once(StepSQL).select_due, parameters).fetchall()
    return rows


def find_overdue_steps(session: Session, limit: int, age: float) -> list[StepKey]:
    """Return at most `limit` due steps that may have no message under way.

    These are steps that have been attempted before, for example when an attempt failed or its worker died. A message
    was sent when a first attempt became due; such a step is returned once it has been due for `age` seconds.
    """
    now = session.storage.clock()
    parameters = {"now": format_instant(now), "before": format_instant(now - age), "limit": limit}
    keys: list[StepKey] = session.run(session.storage.once(StepSQL).select_overdue, parameters).fetchall()
    return keys


def claim_steps(
    storage: Storage, limit: int, lease_seconds: float, keys: Sequence[StepKey] | None = None
) -> list[RunStep]:
    """Claim at most `limit` due steps for `lease_seconds`; if `keys` are given, only steps with these keys.

    Concurrent workers each try a random sample of the due steps, so they rarely collide; where they do, the fence
    decides. No row locks across shards are needed.
    """
    for _ in range(CLAIM_ATTEMPTS):
        if keys is None:
            due = storage.read(partial(find_due_steps, limit=limit * 4))
        else:
            due = storage.read(partial(_find_due_steps_by_key, keys=keys))
        if not due:
            break
        sample = random.sample(due, min(limit, len(due)))
        steps = storage.transaction(partial(_claim_sample, due=sample, lease_seconds=lease_seconds))
        if steps:
            return steps
    return []


def _find_due_steps_by_key(session: Session, keys: Sequence[StepKey]) -> list[tuple[Any, ...]]:
    """Return the steps of `keys` that are due, each as its key and its current fence."""
    sql, now = session.storage.once(StepSQL), format_instant(session.storage.clock())
    due = []
    for key in keys:
        row = session.run(sql.select_step, dict(zip(STEP_KEY, key, strict=True))).fetchone()
        if row is None:
            continue
        step = RunStep._make(row)
        if step.due_at is not None and step.due_at <= now:
            due.append((*key, step.fence))
    return due


def _claim_sample(session: Session, due: Sequence[tuple[Any, ...]], lease_seconds: float) -> list[RunStep]:
    sql = session.storage.once(StepSQL)
    keys = sql.lease.claim(session, due, lease_seconds)
    return [RunStep._make(session.run(sql.select_step, key).fetchone()) for key in keys]
