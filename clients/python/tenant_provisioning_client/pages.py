"""A page of a list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some items of a list, in its order."""

    items: Sequence[T]
    #: The cursor of the following page. None after the last page of a list; the feed of events always has one.
    next: str | None
    #: True if the following page is there already. A page of few items, or of none, may have more behind it.
    has_more: bool


def read_page(read_item: Callable[[Mapping[str, Any]], T]) -> Callable[[Mapping[str, Any]], Page[T]]:
    """Return the function that reads a page of the items that `read_item` reads."""

    def read(document: Mapping[str, Any]) -> Page[T]:
        cursor: str | None = document["next"]
        items = [read_item(item) for item in document["items"]]
        return Page(items, cursor, bool(document.get("has_more", cursor is not None)))

    return read
