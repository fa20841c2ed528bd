"""Pages of rows, limited in rows and in bytes: a page that reaches `PAGE_BYTES` ends early.

Rows are read in batches, because a driver holds the whole result of a statement in memory. Each statement starts after
the key of the last row that was read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, bindparam, tuple_

#: Maximum size of the texts in one page, in bytes. A single larger row makes a page of its own.
PAGE_BYTES = 2 * 1024 * 1024
#: Rows read by one statement: few if a row may have some hundred kilobytes, many if it has a few kilobytes at most.
FEW_ROWS, MANY_ROWS = 25, 100
Row = TypeVar("Row")
Place = TypeVar("Place")


def is_after(*key: Column[Any]) -> ColumnElement[bool]:
    """Return the condition that a row's key is greater than the parameters ``after_<column>``."""
    return tuple_(*key) > tuple_(*(bindparam(f"after_{column.name}", type_=column.type) for column in key))


def read_page(
    read: Callable[[int, Place | None], Sequence[Row]],
    limit: int,
    after: Place | None,
    get_place: Callable[[Row], Place],
    get_size: Callable[[Row], int],
    rows_per_read: int = MANY_ROWS,
    get_max_size: Callable[[Sequence[Row]], int] | None = None,
) -> tuple[list[Row], Place | None]:
    """Return at most `limit` rows after the position `after`, and the position of the last one; None if none follow.

    `read(count, after)` returns up to `count` rows after a position, `get_place(row)` the position of a row, and
    `get_size(row)` its size in bytes. `rows_per_read` rows are read by one statement. `get_max_size(rows)` returns an
    upper bound of the size of several rows and is cheaper than measuring each, which most pages are too small to need.
    """
    page: list[Row] = []
    bytes_left = PAGE_BYTES
    while True:
        count = min(limit - len(page), rows_per_read)
        rows = read(count + 1, after)
        if get_max_size is not None and count == limit and get_max_size(rows) <= PAGE_BYTES:
            page = list(rows[:count])
        else:
            for row in rows[:count]:
                bytes_left -= get_size(row)
                if bytes_left < 0 and page:
                    return page, get_place(page[-1])
                page.append(row)
        if len(rows) <= count:
            return page, None
        after = get_place(page[-1])
        if len(page) == limit:
            return page, after


def measure_text(text: str | None) -> int:
    """Return the length of a text in bytes of UTF-8; 0 for None."""
    if text is None:
        return 0
    return len(text) if text.isascii() else len(text.encode())


def measure_row(row: Sequence[Any]) -> int:
    """Return the size of the texts of a row in bytes, plus 500 for the names of its members."""
    return 500 + sum(measure_text(value) for value in row if isinstance(value, str))
