"""JSON arrays and NDJSON as streams of rows, which are split and not parsed.

A row of an array is found by one match of a pattern that knows strings and brackets and ignores all else. A row that is
nested deeper than the pattern, or not yet read to its end, is walked from bracket to bracket. Both look at a byte a
bounded number of times, and neither recurses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .limits import UploadFormatError, UploadLimits

_LINE_WHITESPACE = b" \t\r"


def read_ndjson(blocks: Iterable[bytes], limits: UploadLimits) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, unparsed, with its number. Raises `UploadLimitError`."""
    for number, line in enumerate(_split_lines(blocks, limits), 1):
        if row := line.strip(_LINE_WHITESPACE):
            yield number, row


def _split_lines(blocks: Iterable[bytes], limits: UploadLimits) -> Iterator[bytes]:
    last_line, number = b"", 1
    for block in blocks:
        lines = block.split(b"\n")
        lines[0] = last_line + lines[0]
        last_line = lines.pop()
        yield from lines
        number += len(lines)
        limits.require_lines(number)
        limits.require_row(len(last_line), number)
    yield last_line


_TEXT = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_OTHER = rb'[^"{}\[\]]*+'
_SPACE = rb"[ \t\r\n]*+"
_WORD = rb'[^ \t\r\n,"{}\[\]]++'
#: The nesting depth that the pattern for a row covers.
_PATTERN_DEPTH = 3
_CLOSING = bytes.maketrans(b"[{", b"]}")


def _make_nested_pattern(levels: int) -> bytes:
    """Return a pattern for an object or an array nested at most `levels` deep."""
    flat = rb"(?:%b%b)*+%b" % (_OTHER, _TEXT, _OTHER)
    body = rb"%b(?:(?:%b)%b)*+" % (flat, _make_nested_pattern(levels - 1), flat) if levels > 1 else flat
    return rb"\{%b\}|\[%b\]" % (body, body)


_match_row = re.compile(
    rb"%b(%b|%b|%b)%b([,\]])" % (_SPACE, _make_nested_pattern(_PATTERN_DEPTH), _TEXT, _WORD, _SPACE), re.DOTALL
).match
_match_text = re.compile(_TEXT, re.DOTALL).match
_match_word = re.compile(_WORD).match
_find_non_space = re.compile(rb"[^ \t\r\n]").search
#: Matches opening brackets, closing brackets, the start of an unfinished string, or any balanced text between them.
_iterate_brackets = re.compile(
    rb'(?:%b(?:%b|%b))++|([\[{]++)|([\]}]++)|(")|%b' % (_OTHER, _TEXT, _make_nested_pattern(2), _OTHER), re.DOTALL
).finditer


def read_json_array(blocks: Iterable[bytes], limits: UploadLimits) -> Iterator[tuple[int, bytes]]:
    """Yield each element, with the line on which it begins. Raises `UploadFormatError` and `UploadLimitError`."""
    window = _Window(blocks)
    if not window.skip_space():
        return
    if window.skip_space() != b"[":
        raise UploadFormatError("The upload is not a JSON array: it does not begin with [.", window.line)
    window.take(1)
    if window.skip_space() == b"]":
        window.take(1)
    else:
        yield from _read_elements(window, limits)
    if window.skip_space():
        raise UploadFormatError("Something follows after the JSON array.", window.line)


class _Window:
    """The part of an upload that has been read and not yet consumed."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self.text = b""
        self.position = 0
        self.line = 1

    def take(self, size: int) -> bytes:
        """Consume and return `size` bytes."""
        data = self.text[self.position : self.position + size]
        self.line += data.count(b"\n")
        self.position += size
        return data

    def read_more(self) -> bool:
        """Read on. Return False at the end.

        At least doubles the unconsumed text, so that scanning it again from the start stays linear in total.
        """
        parts = [self.text[self.position :]]
        missing = len(parts[0])
        for block in self._blocks:
            parts.append(block)
            missing -= len(block)
            if missing <= 0:
                break
        self.text, self.position = b"".join(parts), 0
        return len(parts) > 1

    def skip_space(self) -> bytes:
        """Skip white space. Return the byte that follows, or nothing at the end."""
        while not (match := _find_non_space(self.text, self.position)):
            self.take(len(self.text) - self.position)
            if not self.read_more():
                return b""
        self.take(match.start() - self.position)
        return match[0]


def _read_elements(window: _Window, limits: UploadLimits) -> Iterator[tuple[int, bytes]]:
    separator = b","
    while separator == b",":
        if match := _match_row(window.text, window.position):
            row, separator = match.groups()
            start, end = match.start(1), match.end()
            line = window.line + window.text.count(b"\n", window.position, start)
            window.line = line + window.text.count(b"\n", start, end)
            window.position = end
        else:
            window.skip_space()
            line = window.line
            row, separator = _walk_element(window, limits), _take_separator(window)
        yield line, row.replace(b"\n", b"\r")


def _walk_element(window: _Window, limits: UploadLimits) -> bytes:
    """Consume and return the element that begins at the current position."""
    while not (size := _measure_element(window)):
        limits.require_row(len(window.text) - window.position, window.line)
        if not window.read_more():
            raise UploadFormatError("The JSON array ends within a row.", window.line)
    return window.take(size)


def _take_separator(window: _Window) -> bytes:
    separator = window.skip_space()
    if not separator:
        raise UploadFormatError("The JSON array is not closed.", window.line)
    if separator not in b",]":
        raise UploadFormatError("A comma is missing between two rows.", window.line)
    return window.take(1)


def _measure_element(window: _Window) -> int:
    """Return the length of the element that begins at the current position, or 0 if its end has not been read yet."""
    text, start = window.text, window.position
    first = text[start : start + 1]
    if first in (b"[", b"{"):
        return _find_closing_bracket(window) - start
    if first == b'"':
        match = _match_text(text, start)
        return match.end() - start if match else 0
    match = _match_word(text, start)
    if match:
        return match.end() - start if match.end() < len(text) else 0
    if first:
        raise UploadFormatError(f"A row is missing before {first.decode()}.", window.line)
    return 0


def _find_closing_bracket(window: _Window) -> int:
    """Return the position after the closing bracket, or the current position if that bracket is not read yet."""
    open_brackets = bytearray(window.text[window.position : window.position + 1].translate(_CLOSING))
    for match in _iterate_brackets(window.text, window.position + 1):
        opening, closing, unfinished_string = match.groups()
        if opening:
            open_brackets += opening.translate(_CLOSING)
        elif closing:
            closed = closing[: len(open_brackets)]
            if open_brackets[: -len(closed) - 1 : -1] != closed:
                line = window.line + window.text.count(b"\n", window.position, match.start())
                raise UploadFormatError("A bracket is closed by one of the other kind.", line)
            del open_brackets[-len(closed) :]
            if not open_brackets:
                return match.start() + len(closed)
        elif unfinished_string:
            break
    return window.position
