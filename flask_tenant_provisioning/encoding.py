"""JSON, base64, CSV and printable text: the one spelling that this API reads and writes.

A JSON body has one reading or none (RFC 8259, RFC 7493), base64 is canonical (RFC 4648 §3.5), CSV follows RFC 4180.
Text for logs and terminals stays on its line and moves no cursor.
"""

from __future__ import annotations

import base64
import csv
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from .errors import MalformedJSON

MAX_DEPTH = 32
_LONGEST_INTEGER = 20
_TEXT_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(data: bytes) -> Any:
    """Read a body. Raises `MalformedJSON` for whatever two parsers, or a database, could take differently."""
    try:
        text = data.decode()
        if text.count("{") + text.count("[") > MAX_DEPTH:
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


dump_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJSON("An object names the same key twice.")
    return found


def _parse_integer(digits: str) -> int:
    found = int(digits) if len(digits) <= _LONGEST_INTEGER else 1 << 64
    if not -(1 << 63) <= found < 1 << 63:
        raise MalformedJSON("An integer does not fit into 64 bits.")
    return found


def _parse_float(digits: str) -> float:
    found = float(digits)
    if not math.isfinite(found):
        raise MalformedJSON("A number is too large.")
    return found


def _reject_constant(name: str) -> None:
    raise MalformedJSON(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_parse_object, parse_int=_parse_integer, parse_float=_parse_float, parse_constant=_reject_constant
)


def parse_json_object(data: bytes, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, without duplicate keys and NaN. Raises `ValueError`.

    `parse_float` converts each number with a fraction or an exponent, and may raise `ValueError`.
    """
    try:
        value = json.loads(
            data.decode(), object_pairs_hook=_parse_members, parse_float=parse_float, parse_constant=_reject_nan
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def _parse_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate key")
    return members


def _reject_nan(constant: str) -> None:
    raise ValueError(constant)


def _require_shallow(text: str) -> None:
    """Count brackets outside of texts before the parser recurses into them: what it nests costs it stack."""
    depth = 0
    for sign in _TEXT_OR_BRACKET.finditer(text):
        if sign[0] in "[{":
            depth += 1
        elif sign[0] in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise MalformedJSON(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


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


def encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Standard base64 in its one canonical form. Raises `ValueError`."""
    raw = base64.b64decode(text, validate=True)
    if encode_base64(raw) != text:
        raise ValueError("not canonical")
    return raw


def encode_base64url(raw: bytes) -> str:
    """Encode as base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Decode canonical base64url without padding. Raises `ValueError` for any other spelling."""
    raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode_base64url(raw) != text:
        raise ValueError("not canonical")
    return raw


#: The signs that a spreadsheet takes for the beginning of a formula, their full-width forms too.
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Such a sign, or apostrophes before one, of which `restored` takes the first.
_FORMULA = re.compile(f"'*[{re.escape(FORMULA_SIGNS)}]").match


class _LineSink:
    """What csv's writer writes a line to, and gets back."""

    def write(self, line: str) -> str:
        return line


def make_csv_writer(quoting: Any) -> Callable[[Iterable[Any]], bytes]:
    """What writes cells as a line of CSV; `quoting` is one of `csv`'s."""
    write = csv.writer(_LineSink(), quoting=quoting).writerow
    return lambda cells: str(write(cells)).encode()


def escape_formula(text: str | None) -> str | None:
    """`text` for people's spreadsheets: what one would take for a formula has an apostrophe before it.

    A text in which apostrophes stand before such a sign gets one more, so that `restored` gives back each text.
    """
    return f"'{text}" if text is not None and _FORMULA(text) else text


def unescape_formula(text: str) -> str:
    """The text that `harmless` was given."""
    return text[1:] if text.startswith("'") and _FORMULA(text) else text


_CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def escape_control_characters(text: str) -> str:
    r"""`text` with what could end a line, move a cursor, colour a terminal or turn a line around as ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in _CONTROL_CATEGORIES else char for char in text)


def format_error(error: BaseException) -> str:
    """Return what `error` says, on one line; its class where it says nothing."""
    return escape_control_characters(" ".join(str(error).split())) or type(error).__name__


def _escape(char: str) -> str:
    return char if char in _JOINERS else char.encode("unicode_escape").decode("ascii")
