"""The records of a CSV file (RFC 4180), whatever its delimiter.

A record ends with a line, unless a quote is open there: then there has been an odd number of them. This holds for cells
that are quoted as a whole. Quotes inside of other cells are no matter if they are two in a line; else they join lines,
which `table` notices. Python's csv module is not asked: its one limit of sizes is the whole process's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .errors import MalformedUpload, UploadTooLarge
from .limits import Limits

#: The line on which a record begins, from 1, and its text. Bytes that are not UTF-8 are lone surrogates (PEP 383).
Record = tuple[int, str]

_QUOTED = re.compile(rb'"(?:[^"]++|"")*+"?')
_ENDS = b"\r\n"


def records(blocks: Iterable[bytes], limits: Limits) -> Iterator[Record]:
    """Each record that is not blank. Raises `MalformedUpload`, `UploadTooLarge`."""
    lines = enumerate(_lines(blocks, limits), 1)
    for number, line in lines:
        if line.count(b'"') & 1:
            line = _joined(number, line, lines, limits)
        if record := line.rstrip(_ENDS):
            yield number, record.decode(errors="surrogateescape")


def _joined(number: int, line: bytes, lines: Iterator[tuple[int, bytes]], limits: Limits) -> bytes:
    """A record whose first line leaves a quote open: with all lines until it is closed."""
    record = bytearray(line)
    for _, line in lines:
        record += line
        if len(record) > limits.row_bytes:
            detail = f"A row is larger than {limits.row_bytes} bytes; perhaps a quote is not closed."
            raise UploadTooLarge(detail, number)
        if line.count(b'"') & 1:
            return bytes(record)
    *_, opening = _QUOTED.finditer(record)
    before = record[: opening.end() - len(opening[0]) + 1]
    raise MalformedUpload("A quote is not closed.", number + len(before.splitlines()) - 1)


def _lines(blocks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    r"""Lines with their ends: ``\n``, ``\r\n`` or ``\r``. The last one waits, since more of its end may come."""
    tail, number = b"", 1
    for block in blocks:
        *lines, tail = (tail + block).splitlines(keepends=True) or [b""]
        yield from lines
        number += len(lines)
        limits.require_lines(number)
        limits.require_row(len(tail.rstrip(_ENDS)), number)
    if tail:
        yield tail
