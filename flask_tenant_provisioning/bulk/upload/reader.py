"""Read an upload of any supported media type, plain or gzip (RFC 1952), as chunks of rows."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from . import csv_reader, json_reader
from .limits import UploadFormatError, UploadLimitError, UploadLimits

BLOCK_SIZE = 64 * 1024


def split_blocks(stream: Iterable[bytes], size: int = BLOCK_SIZE) -> Iterator[bytes]:
    """Yield the stream in blocks of `size` bytes; the last one may be shorter."""
    buffer = bytearray()
    for part in stream:
        for start in range(0, len(part), size):
            buffer += part[start : start + size]
            if len(buffer) >= size:
                yield bytes(buffer[:size])
                del buffer[:size]
    if buffer:
        yield bytes(buffer)


def enforce_size(stream: Iterable[bytes], limit: int, subject: str) -> Iterator[bytes]:
    """Yield the stream unchanged. Raises `UploadLimitError`, naming `subject`, if it exceeds `limit` bytes."""
    total = 0
    for part in stream:
        total += len(part)
        if total > limit:
            raise UploadLimitError(f"{subject} is larger than {limit} bytes.")
        yield part


def strip_byte_order_mark(stream: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the stream without a leading UTF-8 byte order mark (RFC 3629 §6)."""
    beginning = b""
    for part in stream:
        beginning += part
        if len(beginning) >= len(codecs.BOM_UTF8):
            break
    yield beginning.removeprefix(codecs.BOM_UTF8)
    yield from stream


_GZIP_WBITS = 16 + zlib.MAX_WBITS


def decompress_gzip(stream: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the decompressed content of all members of a gzip stream.

    Raises `UploadFormatError` for data that is not gzip, ends early, fails its checksum, or follows the last member.
    """
    member = zlib.decompressobj(_GZIP_WBITS)
    try:
        for data in stream:
            while data:
                if member.eof:
                    member = zlib.decompressobj(_GZIP_WBITS)
                yield from _decompress_member(member, data)
                data = member.unused_data
    except zlib.error as error:
        raise UploadFormatError("The upload is not gzip, or it is damaged.") from error
    if not member.eof:
        raise UploadFormatError("The gzip ends too early.")


def _decompress_member(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield what these bytes add to the member's content; output may be pending after all input is consumed."""
    size = BLOCK_SIZE
    while data or size == BLOCK_SIZE:
        content = member.decompress(data, BLOCK_SIZE)
        yield content
        size, data = len(content), member.unconsumed_tail


NumberedRows = Iterator[tuple[int, bytes]]
#: Supported values of ``Content-Encoding`` (RFC 9110 §8.4.1.3).
ENCODINGS = ("gzip", "x-gzip")
#: The largest payload of a chunk in bytes. A worker holds the parsed rows of two chunks in memory.
CHUNK_BYTES = 256 * 1024
_JSON_READERS: dict[str, Callable[[Iterable[bytes], UploadLimits], NumberedRows]] = {
    "application/json": json_reader.read_json_array,
    "application/x-ndjson": json_reader.read_ndjson,
    "application/jsonl": json_reader.read_ndjson,
}
#: Media types of uploads.
MEDIA_TYPES = (*_JSON_READERS, "text/csv")


class UploadChunk(NamedTuple):
    """Consecutive rows of an upload."""

    #: The number of the first row, from 1; blank lines are not counted.
    first_row: int
    #: The line of the upload on which each row begins, from 1.
    lines: Sequence[int]
    #: The rows, separated by ``b"\n"``. Each should be JSON, but is not validated yet.
    payload: bytes


def read_chunks(
    stream: Iterable[bytes],
    media_type: str,
    encoding: str | None,
    limits: UploadLimits,
    rows_per_chunk: int = 1000,
    block: int = BLOCK_SIZE,
    is_column: csv_reader.IsColumn | None = None,
    restore: csv_reader.RestoreCell | None = None,
) -> Iterator[UploadChunk]:
    """Yield an upload as chunks of rows, reading `block` bytes at a time. An upload without rows yields none.

    A CSV header with a column that `is_column` rejects is refused; by default any name is accepted. `restore` maps each
    cell to the text that it stands for.

    Rows of a JSON array keep their text, except that each line feed becomes a carriage return: both are white space
    between tokens, and neither is allowed inside of a string (RFC 8259 §2, §7). Rows of a CSV become objects of
    strings.

    Raises `ValueError` for a media type or an encoding that is not supported, and while reading `UploadFormatError` and
    `UploadLimitError`; the chunks yielded before are of no use then.
    """
    if media_type not in MEDIA_TYPES or encoding not in (None, *ENCODINGS):
        raise ValueError(f"unsupported media type {media_type} or encoding {encoding}")
    data: Iterable[bytes] = split_blocks(enforce_size(stream, limits.max_bytes, "The upload"), block)
    if encoding:
        data = split_blocks(enforce_size(decompress_gzip(data), limits.max_bytes, "The upload, unpacked,"), block)
    data = strip_byte_order_mark(iter(data))
    if media_type == "text/csv":
        rows = csv_reader.read_csv(data, limits, is_column, restore)
    else:
        rows = _JSON_READERS[media_type](data, limits)
    return _make_chunks(rows, limits, rows_per_chunk)


def _make_chunks(rows: NumberedRows, limits: UploadLimits, rows_per_chunk: int) -> Iterator[UploadChunk]:
    row_count = size = 0
    for lines, payload in _group_rows(rows, limits, rows_per_chunk):
        first_row = row_count + 1
        row_count += len(lines)
        size += sum(map(len, payload))
        limits.require_rows(row_count, size)
        yield UploadChunk(first_row, lines, b"\n".join(payload))


def _group_rows(
    rows: NumberedRows, limits: UploadLimits, rows_per_chunk: int
) -> Iterator[tuple[list[int], list[bytes]]]:
    lines: list[int] = []
    payload: list[bytes] = []
    bytes_left, longest = CHUNK_BYTES, limits.max_row_bytes
    for line, row in rows:
        size = len(row) + 1
        if size > longest:
            limits.require_row(len(row), line)
        bytes_left -= size
        if bytes_left < 0 or len(payload) == rows_per_chunk:
            if payload:
                yield lines, payload
            lines, payload, bytes_left = [], [], CHUNK_BYTES - size
        lines.append(line)
        payload.append(row)
    if payload:
        yield lines, payload
