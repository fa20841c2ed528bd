"""Lists, as commands print them: page after page, up to a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

from ..database import Storage
from ..web.parameters import LARGEST_PAGE
from .output import Table, room, say, say_json

T = TypeVar("T")
S = TypeVar("S")
Page = tuple[list[S], bool]


def pages(
    storage: Storage, work: Callable[..., tuple[list[T], str | None]], shown: Callable[[T], S], limit: int
) -> Iterator[Page[S]]:
    """Page after page of what `work` reads, up to `limit` (0: all), each with whether more follows."""
    after, left = None, limit
    while True:
        size = min(left, LARGEST_PAGE) if limit else LARGEST_PAGE
        found, after = storage.read(partial(work, limit=size, after=after))
        left -= len(found)
        yield [shown(one) for one in found], after is not None
        if after is None or (limit and left <= 0):
            return


def say_pages(found: Iterable[Page[dict[str, Any]]], columns: Sequence[str], what: str, *, as_json: bool) -> None:
    """Print lists of `what`, each with whether more follows."""
    table, shown, unfinished = Table(columns, room()), 0, False
    for items, more in found:
        if items and as_json:
            say_json(*items)
        elif items:
            say("\n".join(table.lines(items)))
        shown, unfinished = shown + len(items), more
    if as_json:
        return
    if not shown:
        say(f"There are no such {what}.", err=True)
    elif unfinished:
        say("There are more: --limit 0 lists them all.", err=True)
