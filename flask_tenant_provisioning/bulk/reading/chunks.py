"""Chunks of rows, from an upload of any kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from . import array, ndjson, table
from .blocks import BLOCK, blocks, limited, without_mark
from .inflating import inflated
from .limits import Limits

Rows = Iterator[tuple[int, bytes]]

#: Values of ``Content-Encoding`` that are understood (RFC 9110 §8.4.1.3).
ENCODINGS = ("gzip", "x-gzip")
#: How large a chunk's payload is at most, in bytes: a worker holds the rows of two chunks, parsed.
CHUNK_BYTES = 256 * 1024

_READERS: dict[str, Callable[[Iterable[bytes], Limits], Rows]] = {
    "application/json": array.rows,
    "application/x-ndjson": ndjson.rows,
    "application/jsonl": ndjson.rows,
    "text/csv": table.rows,
}


class Chunk(NamedTuple):
    """Some rows of an upload, in its order."""

    #: The number of the first row, from 1; blank lines have none.
    first_row: int
    #: For each row the line of the upload on which it begins, from 1.
    lines: Sequence[int]
    #: For each row one line, which should be JSON and may be anything; between two of them ``b"\n"``.
    payload: bytes


def media_types() -> tuple[str, ...]:
    """The media types of uploads that `chunks` reads."""
    return tuple(_READERS)


def chunks(
    stream: Iterable[bytes],
    media_type: str,
    encoding: str | None,
    limits: Limits,
    rows_per_chunk: int = 1000,
    block: int = BLOCK,
    is_column: table.IsColumn | None = None,
    restore: table.Restore | None = None,
) -> Iterator[Chunk]:
    """Read an upload, `block` bytes at a time. One without any rows has no chunk.

    A table whose header names what is not a column (`is_column`; by default any name is one) is refused. Each of its
    cells means what `restore` makes of it; by default itself.

    A JSON array's rows keep their text, but that each line feed is now a carriage return: between tokens it is white
    space as well, and inside of a text no more allowed (RFC 8259 §2, §7). A table's rows are objects of texts.

    Raises `ValueError` for a type or an encoding that is not among `media_types` and `ENCODINGS`; while it is read,
    `MalformedUpload` and `UploadTooLarge`: then the chunks that came before are of no use either.
    """
    if media_type not in _READERS or encoding not in (None, *ENCODINGS):
        raise ValueError(f"No reader of {media_type}, {encoding}")
    data: Iterable[bytes] = blocks(limited(stream, limits.bytes, "The upload"), block)
    if encoding:
        data = blocks(limited(inflated(data), limits.bytes, "The upload, unpacked,"), block)
    reader = (
        partial(table.rows, is_column=is_column, restore=restore) if media_type == "text/csv" else _READERS[media_type]
    )
    return _gathered(reader(without_mark(iter(data)), limits), limits, rows_per_chunk)


def _gathered(rows: Rows, limits: Limits, rows_per_chunk: int) -> Iterator[Chunk]:
    first, total = 1, 0
    for lines, payload in _batches(rows, limits, rows_per_chunk):
        count = first + len(lines) - 1
        total += sum(map(len, payload))
        limits.require_rows(count, total)
        yield Chunk(first, lines, b"\n".join(payload))
        first = count + 1


def _batches(rows: Rows, limits: Limits, rows_per_chunk: int) -> Iterator[tuple[list[int], list[bytes]]]:
    lines: list[int] = []
    payload: list[bytes] = []
    room, longest = CHUNK_BYTES, limits.row_bytes
    for line, row in rows:
        size = len(row) + 1
        if size > longest:
            limits.require_row(len(row), line)
        room -= size
        if room < 0 or len(payload) == rows_per_chunk:
            if payload:
                yield lines, payload
            lines, payload, room = [], [], CHUNK_BYTES - size
        lines.append(line)
        payload.append(row)
    if payload:
        yield lines, payload
