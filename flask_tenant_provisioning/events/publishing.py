"""Give committed events their place in their partner's feed.

A place that a transaction took for itself would be seen after later ones, and a reader would miss it. So events are
written without one, and get it after their commit from whoever holds the partner's feed.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from ..database import Session, Storage, instant
from .statements import EventSQL

#: How many events get their places in one transaction.
BATCH = 1000


class Stretch(NamedTuple):
    """Events that have just got their places: those of `partner` behind `after` up to `upto`, at the instant `at`.

    Of one partner's stretches the next is never earlier, whatever the clocks of those who publish say.
    """

    partner: str
    after: int
    upto: int
    at: str


def publish(session: Session, partner: str, limit: int = BATCH) -> int:
    """Give the first events of `partner` that wait their places; returns how many. A tenant's are in their order."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    last, _, published_at = hold(session, partner)
    found: int = session.run(sql.publish, {**of_partner, "place": last, "limit": limit}).rowcount
    at = max(instant(session.storage.clock()), published_at or "")
    session.run(sql.advance, {**of_partner, "new_position": last + found, "new_published_at": at})
    if found:
        for follow in session.storage.followers:
            follow(session, Stretch(partner, last, last + found, at))
    return found


def hold(session: Session, partner: str) -> tuple[int, int, str | None]:
    """Let nobody else publish events of `partner` until the transaction ends; returns its feed's row."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    session.run(sql.open, {**of_partner, "zero": 0})
    found: tuple[int, int, str | None] = session.run(sql.lock, of_partner).fetchone()
    return found


def publish_all(storage: Storage) -> None:
    """Publish whatever waits, a batch of each partner in turn, so that none waits for the many of another.

    What is written meanwhile may be left: where somebody always writes there is always more.
    """
    while _round(storage):
        pass


def publish_waiting(storage: Storage, partner: str) -> bool:
    """Publish a batch of one partner's, if there is any: who reads a feed sees what was committed before.

    Returns whether more may wait.
    """
    where = {"partner_id": partner}
    if not storage.read(lambda session: session.run(storage.once(EventSQL).waits, where).fetchone()):
        return False
    return storage.transaction(partial(publish, partner=partner)) == BATCH


def _round(storage: Storage) -> bool:
    """Publish a batch of each partner's; whether one was full, and more of it may wait."""
    partner, is_full = "", False
    while found := storage.read(partial(_waiting, after=partner)):
        partner = found
        is_full |= storage.transaction(partial(publish, partner=partner)) == BATCH
    return is_full


def _waiting(session: Session, after: str) -> str | None:
    """The first partner behind `after` whose events wait."""
    row = session.run(session.storage.once(EventSQL).waiting, {"after": after}).fetchone()
    return row[0] if row else None
