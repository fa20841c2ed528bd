"""The records of a CSV file (RFC 4180), whatever its delimiter.

A record ends with a line, unless a quote is open there: then there has been an odd number of them. That holds for
every file in which quotes stand where RFC 4180 §2 lets them; `table` refuses any other. Python's csv module is not
used: its one limit of sizes is the whole process's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .errors import UploadTooLarge
from .limits import Limits

#: The line on which a record begins, from 1, and its text. Bytes that are not UTF-8 are lone surrogates (PEP 383).
Record = tuple[int, str]

_ENDS = b"\r\n"


def records(blocks: Iterable[bytes], limits: Limits) -> Iterator[Record]:
    """Each record that is not an empty line; the last one may leave a quote open. Raises `UploadTooLarge`."""
    lines = enumerate(_lines(blocks, limits), 1)
    for number, line in lines:
        if line.count(b'"') & 1:
            line = _joined(number, line, lines, limits)
        if record := line.rstrip(_ENDS):
            yield number, record.decode(errors="surrogateescape")


def _joined(number: int, line: bytes, lines: Iterator[tuple[int, bytes]], limits: Limits) -> bytes:
    """A record whose first line leaves a quote open: with all lines until it is closed, or to the end."""
    record = bytearray(line)
    for _, line in lines:
        record += line
        if len(record) > limits.row_bytes:
            detail = f"A row is larger than {limits.row_bytes} bytes; perhaps a quote is not closed."
            raise UploadTooLarge(detail, number)
        if line.count(b'"') & 1:
            break
    return bytes(record)


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
