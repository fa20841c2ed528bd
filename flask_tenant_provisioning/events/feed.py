"""The feed of one partner: committed events get positions, pages are read in that order, followers read all.

A transaction that chose its own position could commit after a later one, and a reader would skip it. Events are
therefore written without a position and receive it after the commit, under a lock on the partner's feed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from ..database.ids import format_instant
from ..database.pages import FEW_ROWS, PAGE_BYTES, measure_row
from ..database.session import Session, Storage
from ..errors import CursorExpired, InvalidCursor
from .models import Event
from .statements import PAGE_WINDOW, EventSQL

#: How many events get their places in one transaction.
PUBLISH_BATCH = 1000


class PublishedRange(NamedTuple):
    """Events that have just got their places: those of `partner` behind `after` up to `upto`, at the instant `at`.

    Of one partner's stretches the next is never earlier, whatever the clocks of those who publish say.
    """

    partner: str
    after: int
    upto: int
    at: str


def publish_batch(session: Session, partner: str, limit: int = PUBLISH_BATCH) -> int:
    """Give the first events of `partner` that wait their places; returns how many. A tenant's are in their order."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    last, _, published_at = lock_feed(session, partner)
    found: int = session.run(sql.publish, {**of_partner, "place": last, "limit": limit}).rowcount
    at = max(format_instant(session.storage.clock()), published_at or "")
    session.run(sql.advance, {**of_partner, "new_position": last + found, "new_published_at": at})
    if found:
        for follow in session.storage.followers:
            follow(session, PublishedRange(partner, last, last + found, at))
    return found


def lock_feed(session: Session, partner: str) -> tuple[int, int, str | None]:
    """Let nobody else publish events of `partner` until the transaction ends; returns its feed's row."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    session.run(sql.open, {**of_partner, "zero": 0})
    found: tuple[int, int, str | None] = session.run(sql.lock, of_partner).fetchone()
    return found


def publish_all(storage: Storage) -> None:
    """Publish whatever waits, a batch of each partner in turn, so that none waits for the many of another.

    What is written meanwhile may be left: where somebody always writes there is always more.
    """
    while _publish_round(storage):
        pass


def publish_pending(storage: Storage, partner: str) -> bool:
    """Publish a batch of one partner's, if there is any: who reads a feed sees what was committed before.

    Returns whether more may wait.
    """
    where = {"partner_id": partner}
    if not storage.read(lambda session: session.run(storage.once(EventSQL).waits, where).fetchone()):
        return False
    return storage.transaction(partial(publish_batch, partner=partner)) == PUBLISH_BATCH


def _publish_round(storage: Storage) -> bool:
    """Publish a batch of each partner's; whether one was full, and more of it may wait."""
    partner, is_full = "", False
    while found := storage.read(partial(_find_pending_partner, after=partner)):
        partner = found
        is_full |= storage.transaction(partial(publish_batch, partner=partner)) == PUBLISH_BATCH
    return is_full


def _find_pending_partner(session: Session, after: str) -> str | None:
    """The first partner behind `after` whose events wait."""
    row = session.run(session.storage.once(EventSQL).waiting, {"after": after}).fetchone()
    return row[0] if row else None


DEFAULT_PAGE_SIZE = 50


class FeedPage(NamedTuple):
    """Some events in their order, the place after which the next page begins, and whether there is more already."""

    events: list[Event]
    place: int
    has_more: bool


def load_page(session: Session, partner: str, asked: Mapping[str, Any], after: int | None) -> FeedPage:
    """The events behind the place `after`, or from the oldest on.

    `asked` has the `limit`, and may have `type` (types, of which one has to be an event's) and `tenant`. A page of few
    events, or of none, does not say that nothing follows: it also ends where its events are large.

    Raises `CursorExpired` where events behind `after` are removed, and `InvalidCursor` for a place that the feed has
    not reached.
    """
    types, tenant, limit = asked.get("type", ()), asked.get("tenant"), asked["limit"]
    values = {"partner_id": partner, **{f"type_{n}": t for n, t in enumerate(types)}}
    if tenant is not None:
        values["tenant_id"] = tenant
    statement = session.storage.once(EventSQL).page(len(types), tenant is not None)
    found: list[Event] = []
    left = PAGE_BYTES
    while True:
        wanted = min(limit - len(found), FEW_ROWS)
        rows = session.run(statement, {**values, "after": after, "limit": wanted}).fetchall()
        head, removed = rows[0][:2] if rows else (0, 0)
        start = removed if after is None else _require_position(after, removed, head)
        events = [Event._make(row[2:]) for row in rows if row[2] is not None]
        for one in events:
            left -= measure_row(one)
            if left < 0 and found:
                return FeedPage(found, found[-1].position, True)
            found.append(one)
        if len(events) < wanted:
            end = min(start + PAGE_WINDOW, head)
            return FeedPage(found, end, end < head)
        after = found[-1].position
        if len(found) == limit:
            return FeedPage(found, after, after < head)


def _require_position(after: int, removed: int, head: int) -> int:
    if after < removed:
        raise CursorExpired
    if after > head:
        raise InvalidCursor
    return after


_FOLLOW_BATCH = 1000


class FeedFollower:
    """Remembers how far it has read; begins with the oldest events that are kept, or with those after `skip`.

    `asked` may have `type` and `tenant` as `feed.page` takes them.
    """

    def __init__(self, storage: Storage, asked: Mapping[str, Any], partner: str | None = None) -> None:
        self._storage = storage
        self._asked = {**asked, "limit": _FOLLOW_BATCH}
        self._partner = partner
        self._places: dict[str, int] = {}

    def skip(self) -> None:
        """Pass over what has happened so far."""
        publish_all(self._storage)
        self._places = dict(self._heads())

    def read(self) -> Iterator[Event]:
        """What has happened since, in the order of each partner. Raises `CursorExpired` where some of it is gone."""
        publish_all(self._storage)
        for partner, head in self._heads():
            while self._places.get(partner, -1) < head:
                place = self._places.get(partner)
                work = partial(load_page, partner=partner, asked=self._asked, after=place)
                page = self._storage.read(work)
                self._places[partner] = page.place
                yield from page.events

    def _heads(self) -> list[tuple[str, int]]:
        """How far each feed has come."""
        found: list[tuple[str, int]] = []
        while rows := self._storage.read(partial(_load_heads, after=found[-1][0] if found else "")):
            found += rows
        return [head for head in found if self._partner in (None, head[0])]


def _load_heads(session: Session, after: str) -> list[tuple[str, int]]:
    wanted = {"after": after, "limit": _FOLLOW_BATCH}
    found: list[tuple[str, int]] = session.run(session.storage.once(EventSQL).heads, wanted).fetchall()
    return found
