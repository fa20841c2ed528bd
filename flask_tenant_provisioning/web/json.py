"""JSON as the contract wants it: one reading for every body, or none (RFC 8259, RFC 7493)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from ..problems import MalformedJSON

DEEPEST = 32
_LONGEST_INTEGER = 20
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse(data: bytes) -> Any:
    """Read a body. Raises `MalformedJSON` for whatever two parsers, or a database, could take differently."""
    try:
        text = data.decode()
        found = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJSON("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        raise MalformedJSON(f"{error.msg} at line {error.lineno}, column {error.colno}.") from error
    except RecursionError as error:
        raise MalformedJSON(_TOO_DEEP) from error
    if "\\u" in text or text.count("{") + text.count("[") > DEEPEST:
        _check(found)
    return found


render = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

_TOO_DEEP = f"The JSON is nested deeper than {DEEPEST} levels."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJSON("An object names the same key twice.")
    return found


def _integer(digits: str) -> int:
    found = int(digits) if len(digits) <= _LONGEST_INTEGER else 1 << 64
    if not -(1 << 63) <= found < 1 << 63:
        raise MalformedJSON("An integer does not fit into 64 bits.")
    return found


def _float(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise MalformedJSON("A number is too large.")
    return found


def _constant(name: str) -> None:
    raise MalformedJSON(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


def _check(found: Any) -> None:
    """Walk the value level by level: nesting is bounded, and every text can be stored."""
    level, depth = [found], 0
    while level:
        level = [child for value in level for child in _children(value)]
        depth += 1
        if depth > DEEPEST and any(isinstance(value, dict | list) for value in level):
            raise MalformedJSON(_TOO_DEEP)


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise MalformedJSON("A text holds a NUL character or a lone surrogate.")
    elif isinstance(value, dict):
        yield from value
        yield from value.values()
    elif isinstance(value, list):
        yield from value
