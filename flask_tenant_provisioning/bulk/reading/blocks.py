"""Bytes in blocks of one size, however they arrive: a byte at a time costs no more than all at once."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from .errors import UploadTooLarge

BLOCK = 64 * 1024


def blocks(stream: Iterable[bytes], size: int = BLOCK) -> Iterator[bytes]:
    """The stream in blocks of `size` bytes, the last one of what is left."""
    gathered = bytearray()
    for part in stream:
        for start in range(0, len(part), size):
            gathered += part[start : start + size]
            if len(gathered) >= size:
                yield bytes(gathered[:size])
                del gathered[:size]
    if gathered:
        yield bytes(gathered)


def limited(stream: Iterable[bytes], limit: int, what: str) -> Iterator[bytes]:
    """The stream as it is. Raises `UploadTooLarge`, about `what` it is, for more of it than `limit` bytes."""
    total = 0
    for part in stream:
        total += len(part)
        if total > limit:
            raise UploadTooLarge(f"{what} is larger than {limit} bytes.")
        yield part


def without_mark(stream: Iterator[bytes]) -> Iterator[bytes]:
    """The stream without the byte order mark that it may begin with (RFC 3629 §6)."""
    head = b""
    for part in stream:
        head += part
        if len(head) >= len(codecs.BOM_UTF8):
            break
    yield head.removeprefix(codecs.BOM_UTF8)
    yield from stream
