"""JSON as the contract wants it: one reading for every body, or none (RFC 8259, RFC 7493)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from ..problems import MalformedJSON

DEEPEST = 32
_LONGEST_INTEGER = 20
_TEXT_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse(data: bytes) -> Any:
    """Read a body. Raises `MalformedJSON` for whatever two parsers, or a database, could take differently."""
    try:
        text = data.decode()
        if text.count("{") + text.count("[") > DEEPEST:
            _require_shallow(text)
        found = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJSON("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at").rstrip(": ")
        raise MalformedJSON(f"{what} at line {error.lineno}, column {error.colno}.") from error
    if "\\u" in text:
        _require_storable(found)
    return found


render = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


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


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_constant)


def _require_shallow(text: str) -> None:
    """Count brackets outside of texts before the parser recurses into them: what it nests costs it stack."""
    depth = 0
    for sign in _TEXT_OR_BRACKET.finditer(text):
        if sign[0] in "[{":
            depth += 1
        elif sign[0] in "]}":
            depth -= 1
        if depth > DEEPEST:
            raise MalformedJSON(f"The JSON is nested deeper than {DEEPEST} levels.")


def _require_storable(value: Any) -> None:
    """Refuse texts that no database takes; unescaped ones have been refused already."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise MalformedJSON("A text holds a NUL character or a lone surrogate.")
    elif isinstance(value, dict):
        for name, below in value.items():
            _require_storable(name)
            _require_storable(below)
    elif isinstance(value, list):
        for below in value:
            _require_storable(below)
