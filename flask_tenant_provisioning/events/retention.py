"""Events that are older than they are kept, removed from the old end of each feed."""

from __future__ import annotations

from functools import partial

from ..database import Session, Storage, instant
from .statements import EventSQL

_BATCH = 1000


def remove_old(storage: Storage, days: int) -> int:
    """Remove the events of more than `days` ago; returns how many. A feed's cursors from before are expired then."""
    count, partner = 0, ""
    before = instant(storage.clock(), days=-days)
    while outdated := storage.read(partial(_outdated, after=partner, before=before)):
        for partner in outdated:
            while removed := storage.transaction(partial(_remove, partner=partner, before=before)):
                count += removed
    return count


def _outdated(session: Session, after: str, before: str) -> list[str]:
    """The first partners behind `after` whose oldest event is old."""
    wanted = {"after": after, "before": before, "limit": _BATCH}
    return [partner for (partner,) in session.run(session.storage.once(EventSQL).outdated, wanted).fetchall()]


def _remove(session: Session, partner: str, before: str) -> int:
    """Remove the first events of a feed as far as they are old, a batch at most."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    _, removed, _ = session.run(sql.lock, of_partner).fetchone()
    last = removed
    for position, timestamp in session.run(sql.oldest, {**of_partner, "place": removed, "limit": _BATCH}).fetchall():
        if timestamp >= before:
            break
        last = position
    if last == removed:
        return 0
    session.run(sql.shorten, {**of_partner, "new_removed": last})
    found: int = session.run(sql.remove, {**of_partner, "place": last}).rowcount
    return found
