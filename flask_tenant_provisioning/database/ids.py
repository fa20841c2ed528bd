"""UUIDs (version 7) and instants as text."""

from __future__ import annotations

import itertools
import os
import struct
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def make_uuid7(nanoseconds: int | None = None) -> str:
    """Return a UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds, 12 bits of their fraction, 62 random bits.

    `nanoseconds` since 1970 default to the current time.
    """
    ticks = (time.time_ns() if nanoseconds is None else nanoseconds) * 4096 // 1_000_000
    return _format_uuid7(ticks, int.from_bytes(os.urandom(8), "big"))


def make_uuid7s(count: int, nanoseconds: int | None = None) -> list[str]:
    """Return `count` UUIDs of version 7 in ascending order, with one call each of the clock and `os.urandom`."""
    random = struct.unpack(f"!{count}Q", os.urandom(8 * count))
    ticks = (time.time_ns() if nanoseconds is None else nanoseconds) * 4096 // 1_000_000
    return list(map(_format_uuid7, itertools.count(ticks), random))


def _format_uuid7(ticks: int, random: int) -> str:
    """Return the UUID of a time in 4096ths of a millisecond and of 64 `random` bits."""
    first = f"{(ticks >> 12 & 0xFFFFFFFFFFFF) << 16 | 0x7000 | ticks & 0xFFF:016x}"
    second = f"{random & 0x3FFFFFFFFFFFFFFF | 0x8000000000000000:x}"
    return f"{first[:8]}-{first[8:12]}-{first[12:]}-{second[:4]}-{second[4:]}"


def format_instant(seconds: float, *, days: int = 0) -> str:
    """Return `seconds` since 1970 (plus `days`) as RFC 3339 in UTC with microseconds and ``Z``."""
    moment = _EPOCH + timedelta(days=days, microseconds=round(seconds * 1_000_000))
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def add_microsecond(moment: str) -> str:
    """Return the instant one microsecond after `moment`."""
    return format_instant(datetime.fromisoformat(moment).timestamp() + 1e-6)


def shorten_instant(moment: str | None) -> str | None:
    """Return an instant with milliseconds, as responses show it; None for None."""
    return None if moment is None else f"{moment[:23]}Z"
