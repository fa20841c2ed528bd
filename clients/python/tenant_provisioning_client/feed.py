"""Positions in the feed of events.

The API's cursors lead from page to page. Between two events of a page, the client's own cursor is that of the page
before and the id of the last event that was read, with ``~`` between them.
"""

from __future__ import annotations

from collections.abc import Sequence

from .generated.events import Event

_SEPARATOR = "~"


def split_cursor(cursor: str | None) -> tuple[str | None, str | None]:
    """Return the API's cursor, and the id of the last event that was read after it; None in place of either."""
    after, separator, event = (cursor or "").rpartition(_SEPARATOR)
    return (after or None, event) if separator else (cursor or None, None)


def join_cursor(after: str | None, event: str) -> str:
    """Return the cursor of a place after `event`, which is on the page after the API's cursor `after`."""
    return f"{after or ''}{_SEPARATOR}{event}"


def skip_read(events: Sequence[Event], last: str | None) -> Sequence[Event]:
    """Return the events after the one with the id `last`; all if it is not among them."""
    places = [place for place, event in enumerate(events) if event.id == last]
    return events[places[-1] + 1 :] if places else events
