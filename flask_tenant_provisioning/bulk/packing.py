"""How a chunk's rows, and what came of them, stand in one column: compressed, since nothing looks into them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from ..events import compact

#: Twice as fast as the default, and little larger.
_LEVEL = 1


def packed(data: bytes) -> bytes:
    """`data`, compressed."""
    return zlib.compress(data, _LEVEL)


def unpacked(data: bytes) -> bytes:
    """What `packed` was given."""
    return zlib.decompress(data)


def packed_json(value: Any) -> bytes:
    """`value` as JSON, compressed."""
    return packed(compact(value).encode())


def unpacked_json(data: bytes) -> Any:
    """What `packed_json` was given."""
    return json.loads(unpacked(data))


def packed_lines(lines: Sequence[int]) -> bytes | None:
    """The lines on which rows stand; None where each is right behind the other."""
    if not lines or lines[-1] - lines[0] == len(lines) - 1:
        return None
    return packed_json(list(lines))


def unpacked_lines(first: int, count: int, lines: bytes | None) -> Sequence[int]:
    """What `packed_lines` was given, of which `first` is the first."""
    return range(first, first + count) if lines is None else unpacked_json(lines)
