"""Gzip (RFC 1952) as a stream: never more than a block is unpacked at a time, whatever it promises."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from .blocks import BLOCK
from .errors import MalformedUpload

_GZIP = 16 + zlib.MAX_WBITS


def inflated(stream: Iterable[bytes]) -> Iterator[bytes]:
    """What the stream's members hold, one after the other.

    Raises `MalformedUpload` for what is no gzip, ends too early, fails its checksum, or goes on after its last member.
    """
    member = zlib.decompressobj(_GZIP)
    try:
        for data in stream:
            while data:
                if member.eof:
                    member = zlib.decompressobj(_GZIP)
                yield from _unpacked(member, data)
                data = member.unused_data
    except zlib.error as error:
        raise MalformedUpload("The upload is no gzip, or damaged.") from error
    if not member.eof:
        raise MalformedUpload("The gzip ends too early.")


def _unpacked(member: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """What these bytes of a member add; output may be due when all of them have been taken in."""
    size = BLOCK
    while data or size == BLOCK:
        unpacked = member.decompress(data, BLOCK)
        yield unpacked
        size, data = len(unpacked), member.unconsumed_tail
