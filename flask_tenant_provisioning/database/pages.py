"""Pages of rows, limited by a number of rows and by bytes: a page that is full ends early.

Rows are read in steps, since a driver holds everything that one statement returns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

#: How many bytes of texts the rows of one page hold, but for a first row that is larger.
PAGE_BYTES = 2 * 1024 * 1024
#: How many rows one statement reads where each may be of some hundred kilobytes, and where each is of a few at most.
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
    """At most `limit` rows behind the place `after`, and the place of the last one; None where nothing follows.

    `read` returns so many rows behind a place, `size` is a row's in bytes, and `step` is how many are read at once.
    `bound` is an upper bound of the size of many rows, at less cost than each one's: most pages are small by far.
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
    """Return how many bytes of UTF-8 a text has."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def measure_row(row: Sequence[Any]) -> int:
    """Return how many bytes the texts of a row have, and some more for its names."""
    return 500 + sum(measure_text(value) for value in row if isinstance(value, str))
