"""Pages of rows, limited in rows and in bytes: a page that reaches `PAGE_BYTES` ends early.

Rows are read in batches, because a driver holds the whole result of a statement in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

#: Maximum size of the texts in one page, in bytes. A single larger row makes a page of its own.
PAGE_BYTES = 2 * 1024 * 1024
#: Rows read by one statement: few if a row may have some hundred kilobytes, many if it has a few kilobytes at most.
FEW_ROWS, MANY_ROWS = 25, 100
Row = TypeVar("Row")
Place = TypeVar("Place")


def read_page(
    read: Callable[[int, Place | None], Sequence[Row]],
    limit: int,
    after: Place | None,
    place: Callable[[Row], Place],
    size: Callable[[Row], int],
    step: int = MANY_ROWS,
    bound: Callable[[Sequence[Row]], int] | None = None,
) -> tuple[list[Row], Place | None]:
    """Return at most `limit` rows after the position `after`, and the position of the last one; None if none follow.

    `read(count, after)` returns up to `count` rows after a position, `place(row)` the position of a row, and
    `size(row)` its size in bytes. `step` rows are read by one statement. `bound(rows)` returns an upper bound of the
    size of several rows and is cheaper than measuring each, which most pages are too small to need.
    """
    found: list[Row] = []
    left = PAGE_BYTES
    while True:
        wanted = min(limit - len(found), step)
        rows = read(wanted + 1, after)
        if bound is not None and wanted == limit and bound(rows) <= PAGE_BYTES:
            found = list(rows[:wanted])
        else:
            for row in rows[:wanted]:
                left -= size(row)
                if left < 0 and found:
                    return found, place(found[-1])
                found.append(row)
        if len(rows) <= wanted:
            return found, None
        after = place(found[-1])
        if len(found) == limit:
            return found, after


def measure_text(text: str | None) -> int:
    """Return the length of a text in bytes of UTF-8; 0 for None."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def measure_row(row: Sequence[Any]) -> int:
    """Return the size of the texts of a row in bytes, plus 500 for the names of its members."""
    return 500 + sum(measure_text(value) for value in row if isinstance(value, str))
