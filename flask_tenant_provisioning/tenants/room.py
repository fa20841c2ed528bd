"""Places for new tenants under the licence's and the partner's limit: reserved before many are made, settled after.

A transaction that makes thousands of tenants would hold the counters' rows for as long as it lasts, and everybody who
creates or deletes would wait for it. So it makes them within places that a short transaction has reserved before, and
counts what it made, and gives back the rest, with its last statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..database import Session
from ..problems import QuotaExceeded
from .counting import EVERYBODY, Limit, UsageSQL, lock_counter


class TooFewPlaces(Exception):
    """More tenants were to be made than places were asked for: the caller reserves more and begins again."""


class Room:
    """Places that are left for new tenants; None where there is no limit. `problem` is what the next one meets."""

    def __init__(self, left: int | None = None, problem: QuotaExceeded | None = None) -> None:
        self.left, self.problem = left, problem

    def require(self) -> None:
        """Raise `QuotaExceeded` where no place is left; `TooFewPlaces` where more may be had."""
        if self.left == 0:
            raise self.problem or TooFewPlaces

    def take(self, count: int = 1) -> None:
        """Take so many places, which must be there."""
        if self.left is not None:
            self.left -= count


class Places(NamedTuple):
    """Numbers of reserved places under each limit: the same under both, or 0 where nothing is counted."""

    license: int = 0
    partner: int = 0


class Found(NamedTuple):
    """The places that are free under all limits: `granted` of them, counted `under` these scopes.

    `problem` is what a tenant beyond them meets; None where as many are granted as were wanted. `is_contended` says
    that others have reserved places under a limit that was met, and may yet give some back.
    """

    granted: int
    under: frozenset[str] = frozenset()
    problem: QuotaExceeded | None = None
    is_contended: bool = False


def look(session: Session, limits: Iterable[Limit], wanted: int) -> Found:
    """Up to `wanted` places, as many as are free under all `limits`.

    The counters stay locked until the transaction ends, which is to be soon.
    """
    found = Found(wanted)
    for limit in limits:
        counter = lock_counter(session, limit)
        if counter is None:
            continue
        found = found._replace(under=found.under | {limit.scope})
        if counter.free < found.granted:
            is_contended = found.is_contended or counter.reserved > 0
            problem = limit.exceeded(counter.most)
            found = found._replace(granted=counter.free, problem=problem, is_contended=is_contended)
    return found


def keep(session: Session, partner: str, found: Found) -> Places:
    """Reserve the places that `look` has found in this transaction."""
    places = Places(found.granted * (EVERYBODY in found.under), found.granted * (partner in found.under))
    _count(session, partner, places, 0)
    return places


def settle(session: Session, partner: str, places: Places, more: int) -> None:
    """Give back reserved places, and count so many tenants of `partner` `more`, or less; the last that is done.

    It counts where there is a counter, also where there was none when the places were reserved.
    """
    _count(session, partner, Places(-places.license, -places.partner), more)


def _count(session: Session, partner: str, places: Places, more: int) -> None:
    """Change the counters, everybody's before the partner's, as all do."""
    scopes = zip((EVERYBODY, partner), places, strict=True)
    rows = [{"scope": scope, "places": count, "more": more} for scope, count in scopes if count or more]
    if rows:
        session.run_many(session.storage.once(UsageSQL).settle, rows)
