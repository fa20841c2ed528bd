"""Rows with an idempotency key of their own: sent again, in the same upload or in another, they take effect once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    done, found, left = dict(before), dict[int, Result](), list(rows)
    while left:
        repeated = {one.row.number: result for one in left if (result := _repeated(one, done)) is not None}
        now, left = _apart(one for one in left if one.row.number not in repeated)
        results = way(session, setting, job, now)
        found |= repeated | {one.row.number: result for one, result in zip(now, results, strict=True)}
        done |= _done(now, results)
    keep_many(session, setting.partner, {key: one for key, one in done.items() if key not in before})
    release_many(session, setting.partner, keys - done.keys())
    return [found[one.row.number] for one in rows]


def _repeated(one: Checked, done: Mapping[str, Done]) -> Result | None:
    """The result of a row under whose key something was done; None for any other."""
    if one.key is None or (before := done.get(one.key.key)) is None:
        return None
    if before.fingerprint != one.key.fingerprint:
        return one.refused(IdempotencyKeyReused("Another row was sent with this key before."))
    tenant, external_id = before.answer
    return Result(one.row.number, "unchanged", before.status, tenant, external_id, None)


def _apart(rows: Iterable[Checked]) -> tuple[list[Checked], list[Checked]]:
    """The rows of which each is the first with its key, or has none, and the others."""
    seen, first, later = set[str](), list[Checked](), list[Checked]()
    for one in rows:
        (later if one.key is not None and one.key.key in seen else first).append(one)
        if one.key is not None:
            seen.add(one.key.key)
    return first, later


def _done(rows: Sequence[Checked], results: Sequence[Result]) -> dict[str, Done]:
    """What has been done under the rows' keys now; nothing where a row has failed."""
    return {
        one.key.key: Done(one.key.fingerprint, result.status or 0, [result.tenant, result.external_id], result.tenant)
        for one, result in zip(rows, results, strict=True)
        if one.key is not None and result.state != "failed"
    }
