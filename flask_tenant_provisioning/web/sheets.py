"""Lines of CSV (RFC 4180)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from typing import Any

#: The signs that a spreadsheet takes for the beginning of a formula, their full-width forms too.
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Such a sign, or apostrophes before one, of which `restored` takes the first.
_FORMULA = re.compile(f"'*[{re.escape(FORMULA_SIGNS)}]").match


class _Text:
    """What csv's writer writes a line to, and gets back."""

    def write(self, line: str) -> str:
        return line


def line_writer(quoting: Any) -> Callable[[Iterable[Any]], bytes]:
    """What writes cells as a line of CSV; `quoting` is one of `csv`'s."""
    write = csv.writer(_Text(), quoting=quoting).writerow
    return lambda cells: str(write(cells)).encode()


def harmless(text: str | None) -> str | None:
    """`text` for people's spreadsheets: what one would take for a formula has an apostrophe before it.

    A text in which apostrophes stand before such a sign gets one more, so that `restored` gives back each text.
    """
    return f"'{text}" if text is not None and _FORMULA(text) else text


def restored(text: str) -> str:
    """The text that `harmless` was given."""
    return text[1:] if text.startswith("'") and _FORMULA(text) else text
