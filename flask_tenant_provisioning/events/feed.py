"""The feed of a partner: publish committed events by giving them positions, read pages, follow a feed.

If transactions chose their own positions, one could commit after a transaction with a later position, and a reader
would skip its events. Events are therefore written without a position, and receive one after the commit, under a lock
on the partner's feed.
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

#: The most events published in one transaction.
PUBLISH_BATCH = 1000


class PublishedRange(NamedTuple):
    """The positions just published in a partner's feed: after `after`, up to and including `last`, at the instant `at`.

    `at` never decreases from one range of a partner to the next, even if the clocks of processes differ.
    """

    partner: str
    after: int
    last: int
    at: str


def publish_batch(session: Session, partner: str, limit: int = PUBLISH_BATCH) -> int:
    """Publish at most `limit` pending events of `partner`, ordered by time. Return their number.

    Changes of one tenant keep the order of its versions.
    """
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    last, _, published_at = lock_feed(session, partner)
    count: int = session.run(sql.publish, {**of_partner, "place": last, "limit": limit}).rowcount
    at = max(format_instant(session.storage.clock()), published_at or "")
    session.run(sql.advance, {**of_partner, "new_position": last + count, "new_published_at": at})
    if count:
        for react in session.storage.publish_reactions:
            react(session, PublishedRange(partner, last, last + count, at))
    return count


def lock_feed(session: Session, partner: str) -> tuple[int, int, str | None]:
    """Lock the feed of `partner` until the transaction ends. Return its `position`, `removed` and `published_at`."""
    sql, of_partner = session.storage.once(EventSQL), {"partner_id": partner}
    session.run(sql.create_feed, {**of_partner, "zero": 0})
    row: tuple[int, int, str | None] = session.run(sql.lock, of_partner).fetchone()
    return row


def publish_all(storage: Storage) -> None:
    """Publish all pending events, one batch per partner in turn, so that a busy partner does not delay the others.

    Events written during the call may stay pending.
    """
    while _publish_round(storage):
        pass


def publish_pending(storage: Storage, partner: str) -> bool:
    """Publish a batch of one partner's pending events, so that a reader sees what was committed before.

    Return whether more may be pending.
    """
    where = {"partner_id": partner}
    if not storage.read(lambda session: session.run(storage.once(EventSQL).has_pending, where).fetchone()):
        return False
    return storage.transaction(partial(publish_batch, partner=partner)) == PUBLISH_BATCH


def _publish_round(storage: Storage) -> bool:
    """Publish a batch for each partner. Return whether one was full, so that more may be pending."""
    partner, is_full = "", False
    while pending := storage.read(partial(_find_pending_partner, after=partner)):
        partner = pending
        is_full |= storage.transaction(partial(publish_batch, partner=partner)) == PUBLISH_BATCH
    return is_full


def _find_pending_partner(session: Session, after: str) -> str | None:
    """Return the first partner after `after` with pending events, or None."""
    row = session.run(session.storage.once(EventSQL).find_pending_partner, {"after": after}).fetchone()
    return row[0] if row else None


DEFAULT_PAGE_SIZE = 50


class FeedPage(NamedTuple):
    """Events in order, the position after which the next page starts, and whether more events exist already."""

    events: list[Event]
    end: int
    has_more: bool


def load_page(session: Session, partner: str, query: Mapping[str, Any], after: int | None) -> FeedPage:
    """Load the events after the position `after`, or from the oldest if that is None.

    `query` has `limit`, and optionally `type` (a tuple of event types) and `tenant`. A page may have fewer events than
    `limit`, even none, although more follow: its size in bytes and the number of positions it reads are limited too.

    Raises `CursorExpired` if events after `after` have been removed, and `InvalidCursor` for a position that the feed
    has not reached.
    """
    types, tenant, limit = query.get("type", ()), query.get("tenant"), query["limit"]
    values = {"partner_id": partner, **{f"type_{number}": type for number, type in enumerate(types)}}
    if tenant is not None:
        values["tenant_id"] = tenant
    statement = session.storage.once(EventSQL).select_page(len(types), tenant is not None)
    events: list[Event] = []
    bytes_left = PAGE_BYTES
    while True:
        count = min(limit - len(events), FEW_ROWS)
        rows = session.run(statement, {**values, "after": after, "limit": count}).fetchall()
        head, removed = rows[0][:2] if rows else (0, 0)
        start = removed if after is None else _require_position(after, removed, head)
        next_events = [Event._make(row[2:]) for row in rows if row[2] is not None]
        for event in next_events:
            bytes_left -= measure_row(event)
            if bytes_left < 0 and events:
                return FeedPage(events, events[-1].position, True)
            events.append(event)
        if len(next_events) < count:
            end = min(start + PAGE_WINDOW, head)
            return FeedPage(events, end, end < head)
        after = events[-1].position
        if len(events) == limit:
            return FeedPage(events, after, after < head)


def _require_position(after: int, removed: int, head: int) -> int:
    if after < removed:
        raise CursorExpired
    if after > head:
        raise InvalidCursor
    return after


_FOLLOW_BATCH = 1000


class FeedReader:
    """A reader of the feeds of all partners, or of one, that remembers its positions.

    It starts with the oldest stored events, or after `skip_existing` with new ones. `query` filters by `type` and
    `tenant` as for `load_page`.
    """

    def __init__(self, storage: Storage, query: Mapping[str, Any], partner: str | None = None) -> None:
        self._storage = storage
        self._query = {**query, "limit": _FOLLOW_BATCH}
        self._partner = partner
        self._positions: dict[str, int] = {}

    def skip_existing(self) -> None:
        """Skip the events recorded so far."""
        publish_all(self._storage)
        self._positions = dict(self._load_heads())

    def read(self) -> Iterator[Event]:
        """Iterate over new events, in feed order for each partner. Raises `CursorExpired` if some were removed."""
        publish_all(self._storage)
        for partner, head in self._load_heads():
            while self._positions.get(partner, -1) < head:
                after = self._positions.get(partner)
                page = self._storage.read(partial(load_page, partner=partner, query=self._query, after=after))
                self._positions[partner] = page.end
                yield from page.events

    def _load_heads(self) -> list[tuple[str, int]]:
        """Return the last position of each feed."""
        heads: list[tuple[str, int]] = []
        after = ""
        while rows := self._storage.read(partial(_load_heads, after=after)):
            heads += rows
            after = rows[-1][0]
        return [(partner, position) for partner, position in heads if self._partner in (None, partner)]


def _load_heads(session: Session, after: str) -> list[tuple[str, int]]:
    values = {"after": after, "limit": _FOLLOW_BATCH}
    heads: list[tuple[str, int]] = session.run(session.storage.once(EventSQL).heads, values).fetchall()
    return heads
