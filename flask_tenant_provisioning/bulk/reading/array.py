r"""A JSON array as a stream: its rows are told apart, and not parsed.

A row is found by one match of a pattern, which knows texts and brackets and takes no other look at what it holds. What
is nested deeper than the pattern, or not at hand to its end, is walked from bracket to bracket. Both look at a byte a
bounded number of times, and neither recurses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .errors import MalformedUpload
from .limits import Limits

_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_OTHER = rb'[^"{}\[\]]*+'
_SPACE = rb"[ \t\r\n]*+"
_WORD = rb'[^ \t\r\n,"{}\[\]]++'
#: How deep the pattern for a row looks.
_LEVELS = 3
_CLOSING = bytes.maketrans(b"[{", b"]}")


def _nested(levels: int) -> bytes:
    """A pattern for an object or an array of so many levels."""
    flat = rb"(?:%b%b)*+%b" % (_OTHER, _TEXT, _OTHER)
    body = rb"%b(?:(?:%b)%b)*+" % (flat, _nested(levels - 1), flat) if levels > 1 else flat
    return rb"\{%b\}|\[%b\]" % (body, body)


_row = re.compile(rb"%b(%b|%b|%b)%b([,\]])" % (_SPACE, _nested(_LEVELS), _TEXT, _WORD, _SPACE), re.DOTALL).match
_text = re.compile(_TEXT, re.DOTALL).match
_word = re.compile(_WORD).match
_other_than_space = re.compile(rb"[^ \t\r\n]").search
#: From bracket to bracket: what opens, what closes, a text without an end, or all that lies between and is closed.
_steps = re.compile(
    rb'(?:%b(?:%b|%b))++|([\[{]++)|([\]}]++)|(")|%b' % (_OTHER, _TEXT, _nested(2), _OTHER), re.DOTALL
).finditer


def rows(blocks: Iterable[bytes], limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Each element, with the line on which it begins. Raises `MalformedUpload`, `UploadTooLarge`."""
    window = _Window(blocks)
    if not window.sign():
        return
    if window.sign() != b"[":
        raise MalformedUpload("The upload is no JSON array: it does not begin with [.", window.line)
    window.take(1)
    if window.sign() == b"]":
        window.take(1)
    else:
        yield from _elements(window, limits)
    if window.sign():
        raise MalformedUpload("Something follows after the JSON array.", window.line)


class _Window:
    """What has been read of an upload and not been taken yet."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self.text = b""
        self.place = 0
        self.line = 1

    def take(self, size: int) -> bytes:
        """Go on by so many bytes, and return them."""
        taken = self.text[self.place : self.place + size]
        self.line += taken.count(b"\n")
        self.place += size
        return taken

    def more(self) -> bool:
        """Read on, by as much again as is at hand: looking anew from the start then costs twice the length in all."""
        parts = [self.text[self.place :]]
        wanted = len(parts[0])
        for block in self._blocks:
            parts.append(block)
            wanted -= len(block)
            if wanted <= 0:
                break
        self.text, self.place = b"".join(parts), 0
        return len(parts) > 1

    def sign(self) -> bytes:
        """Take white space; returns the byte that follows, or nothing at the end."""
        while not (found := _other_than_space(self.text, self.place)):
            self.take(len(self.text) - self.place)
            if not self.more():
                return b""
        self.take(found.start() - self.place)
        return found[0]


def _elements(window: _Window, limits: Limits) -> Iterator[tuple[int, bytes]]:
    separator = b","
    while separator == b",":
        if found := _row(window.text, window.place):
            row, separator = found.groups()
            start, end = found.start(1), found.end()
            line = window.line + window.text.count(b"\n", window.place, start)
            window.line = line + window.text.count(b"\n", start, end)
            window.place = end
        else:
            window.sign()
            line = window.line
            row, separator = _walked(window, limits), _separator(window)
        yield line, row.replace(b"\n", b"\r")


def _walked(window: _Window, limits: Limits) -> bytes:
    """Take the element that begins here."""
    while not (size := _size(window)):
        limits.require_row(len(window.text) - window.place, window.line)
        if not window.more():
            raise MalformedUpload("The JSON array ends within a row.", window.line)
    return window.take(size)


def _separator(window: _Window) -> bytes:
    if not (sign := window.sign()):
        raise MalformedUpload("The JSON array is not closed.", window.line)
    if sign not in b",]":
        raise MalformedUpload("A comma is missing between two rows.", window.line)
    return window.take(1)


def _size(window: _Window) -> int:
    """How long the element is that begins here; 0: its end is not at hand."""
    text, place = window.text, window.place
    first = text[place : place + 1]
    if first in (b"[", b"{"):
        return _end_of_nested(window) - place
    if first == b'"':
        return found.end() - place if (found := _text(text, place)) else 0
    if not (found := _word(text, place)):
        if first:
            raise MalformedUpload(f"A row is missing before {first.decode()}.", window.line)
        return 0
    return found.end() - place if found.end() < len(text) else 0


def _end_of_nested(window: _Window) -> int:
    """Where the brackets are closed that open here; where we are, if that is not at hand."""
    awaited = bytearray(window.text[window.place : window.place + 1].translate(_CLOSING))
    for found in _steps(window.text, window.place + 1):
        opening, closing, endless = found.groups()
        if opening:
            awaited += opening.translate(_CLOSING)
        elif closing:
            closed = closing[: len(awaited)]
            if awaited[: -len(closed) - 1 : -1] != closed:
                line = window.line + window.text.count(b"\n", window.place, found.start())
                raise MalformedUpload("A bracket is closed by one of the other kind.", line)
            del awaited[-len(closed) :]
            if not awaited:
                return found.start() + len(closed)
        elif endless:
            break
    return window.place
