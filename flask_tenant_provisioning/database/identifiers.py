"""New identifiers and instants, as text."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def uuid7(nanoseconds: int | None = None) -> str:
    """A UUID of version 7 (RFC 9562 §5.7): 48 bits of milliseconds, 12 bits of their fraction, 62 random bits."""
    now = time.time_ns() if nanoseconds is None else nanoseconds
    milliseconds, rest = divmod(now, 1_000_000)
    fraction = rest * 4096 // 1_000_000
    random = int.from_bytes(os.urandom(8), "big") & 0x3FFFFFFFFFFFFFFF | 0x8000000000000000
    digits = f"{milliseconds & 0xFFFFFFFFFFFF:012x}7{fraction:03x}{random:016x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def instant(seconds: float, *, days: int = 0) -> str:
    """`seconds` since 1970 (plus `days`) as RFC 3339 in UTC with microseconds and ``Z``."""
    moment = _EPOCH + timedelta(days=days, microseconds=round(seconds * 1_000_000))
    return moment.isoformat(timespec="microseconds")[:-6] + "Z"


def following(moment: str) -> str:
    """The instant a microsecond after `moment`."""
    return instant(datetime.fromisoformat(moment).timestamp() + 1e-6)


def shown(moment: str | None) -> str | None:
    """An instant as the contract shows it: milliseconds."""
    return None if moment is None else f"{moment[:23]}Z"
