"""Rows with an idempotency key of their own: sent again, in the same upload or in another, they take effect once."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from ..database import Session
from ..problems import IdempotencyKeyReused
from ..web.idempotency.many import Done, claim_many, keep_many, release_many
from .checking import Checked
from .doing import Way
from .models import Job
from .operations import Setting
from .results import Result


def done_once(session: Session, setting: Setting, job: Job, rows: Sequence[Checked], way: Way) -> list[Result]:
    """Do rows in this `way`, but those that were done before under their key."""
    keys = {one.key.key for one in rows if one.key is not None}
    if not keys:
        return way(session, setting, job, rows)
    before = claim_many(session, setting.partner, keys, setting.api.settings.idempotency_hours)
    done, found, left = dict(before), list[Result](), deque(rows)
    while left:
        repeated, now = _beginning(left, done)
        results = {result.row: result for result in way(session, setting, job, now)}
        found += [one for _, one in sorted((repeated | results).items())]
        done |= _done(now, [results[one.row.number] for one in now])
    keep_many(session, setting.partner, {key: one for key, one in done.items() if key not in before})
    release_many(session, setting.partner, keys - done.keys())
    return found


def _repeated(one: Checked, done: Mapping[str, Done]) -> Result | None:
    """The result of a row under whose key something was done; None for any other."""
    if one.key is None or (before := done.get(one.key.key)) is None:
        return None
    if before.fingerprint != one.key.fingerprint:
        return one.refused(IdempotencyKeyReused("Another row was sent with this key before."))
    tenant, external_id = before.answer
    return Result(one.row.number, "unchanged", before.status, tenant, external_id, None)


def _beginning(left: deque[Checked], done: Mapping[str, Done]) -> tuple[dict[int, Result], list[Checked]]:
    """Take rows from the beginning of `left`, up to one with the key of a row before it of which is not known yet
    what comes of it. Returns the results of those done before, by row, and the rows that are to be done.
    """
    repeated, now, keys = dict[int, Result](), list[Checked](), set[str]()
    while left and (left[0].key is None or left[0].key.key not in keys):
        one = left.popleft()
        if (result := _repeated(one, done)) is not None:
            repeated[one.row.number] = result
            continue
        now.append(one)
        if one.key is not None:
            keys.add(one.key.key)
    return repeated, now


def _done(rows: Sequence[Checked], results: Sequence[Result]) -> dict[str, Done]:
    """What has been done under the rows' keys now; nothing where a row has failed."""
    return {
        one.key.key: Done(one.key.fingerprint, result.status or 0, [result.tenant, result.external_id], result.tenant)
        for one, result in zip(rows, results, strict=True)
        if one.key is not None and result.state != "failed"
    }
