"""Lines of CSV (RFC 4180)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from typing import Any

#: What a spreadsheet takes for the beginning of a formula.
_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")


class _Text:
    """What csv's writer writes a line to, and gets back."""

    def write(self, line: str) -> str:
        return line


def line_writer(quoting: Any) -> Callable[[Iterable[Any]], bytes]:
    """What writes cells as a line of CSV; `quoting` is one of `csv`'s."""
    write = csv.writer(_Text(), quoting=quoting).writerow
    return lambda cells: str(write(cells)).encode()


def harmless(text: str | None) -> str | None:
    """`text` for people's spreadsheets: what one would take for a formula has an apostrophe before it."""
    return f"'{text}" if text is not None and text.startswith(_FORMULAS) else text
