"""Text on a terminal: how wide it is, how it is cut, and what of it may do no harm there."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from ..logs import printable as printable

ELLIPSIS = "…"
_NO_WIDTH = {"Mn", "Me", "Cf"}


def width(text: str) -> int:
    """How many columns `text` takes: East Asian wide characters two, combining ones none (UAX #11)."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, most: int) -> str:
    """`text` in `most` columns, with an ellipsis where something is missing."""
    return text if width(text) <= most else _head(text, most - 1) + ELLIPSIS


def padded(text: str, columns: int) -> str:
    """`text` with spaces up to `columns`."""
    return text + " " * (columns - width(text))


def folded(text: str, most: int) -> Iterator[str]:
    """`text` in lines of `most` columns, 2 or more."""
    while width(text) > most:
        line = _head(text, most)
        yield line
        text = text[len(line) :]
    yield text


def _head(text: str, most: int) -> str:
    """As much of the beginning as fits, with the marks that belong to its last character."""
    taken = 0
    for place, char in enumerate(text):
        taken += _columns(char)
        if taken > most:
            return text[:place]
    return text


def _columns(char: str) -> int:
    if unicodedata.category(char) in _NO_WIDTH or "\u1160" <= char <= "\u11ff":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
