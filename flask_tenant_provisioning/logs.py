"""Text for logs and terminals: whatever a caller sent stays on its line, and does not move a cursor."""

from __future__ import annotations

import unicodedata

_HARMFUL = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
    r"""`text` with what could end a line, move a cursor, colour a terminal or turn a line around as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(_escaped(char) if unicodedata.category(char) in _HARMFUL else char for char in text)


def reason_of(error: BaseException) -> str:
    """Return what `error` says, on one line; its class where it says nothing."""
    return printable(" ".join(str(error).split())) or type(error).__name__


def _escaped(char: str) -> str:
    return char if char in _JOINERS else char.encode("unicode_escape").decode("ascii")
