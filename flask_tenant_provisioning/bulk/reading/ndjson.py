"""NDJSON: a row is a line. Nothing is parsed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .limits import Limits

_BLANK = b" \t\r"


def rows(blocks: Iterable[bytes], limits: Limits) -> Iterator[tuple[int, bytes]]:
    """Each line that is not blank, with its number, whatever it holds. Raises `UploadTooLarge`."""
    for number, line in enumerate(_lines(blocks, limits), 1):
        if row := line.strip(_BLANK):
            yield number, row


def _lines(blocks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    tail, number = b"", 1
    for block in blocks:
        lines = block.split(b"\n")
        lines[0] = tail + lines[0]
        tail = lines.pop()
        yield from lines
        number += len(lines)
        limits.require_lines(number)
        limits.require_row(len(tail), number)
    yield tail
