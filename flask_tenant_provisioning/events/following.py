"""Follow the feeds of one partner or of all, for as long as somebody looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ..database import Session, Storage
from . import feed
from .models import Event
from .publishing import publish_all
from .statements import EventSQL

_BATCH = 1000


class Follower:
    """Remembers how far it has read; begins with the oldest events that are kept, or with those after `skip`.

    `asked` may have `type` and `tenant` as `feed.page` takes them.
    """

    def __init__(self, storage: Storage, asked: Mapping[str, Any], partner: str | None = None) -> None:
        self._storage = storage
        self._asked = {**asked, "limit": _BATCH}
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
                work = partial(feed.page, partner=partner, asked=self._asked, after=place)
                page = self._storage.read(work)
                self._places[partner] = page.place
                yield from page.events

    def _heads(self) -> list[tuple[str, int]]:
        """How far each feed has come."""
        found: list[tuple[str, int]] = []
        while rows := self._storage.read(partial(_heads, after=found[-1][0] if found else "")):
            found += rows
        return [head for head in found if self._partner in (None, head[0])]


def _heads(session: Session, after: str) -> list[tuple[str, int]]:
    wanted = {"after": after, "limit": _BATCH}
    found: list[tuple[str, int]] = session.run(session.storage.once(EventSQL).heads, wanted).fetchall()
    return found
