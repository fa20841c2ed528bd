"""JSON, base64, CSV and printable text, as this API reads and writes them.

JSON that parsers could interpret differently is rejected (RFC 8259, RFC 7493), base64 is canonical (RFC 4648 §3.5), CSV
follows RFC 4180. Control characters are escaped in text for logs and terminals.
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
_MAX_INTEGER_LENGTH = 20
_TEXT_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(data: bytes) -> Any:
    """Parse a JSON body. Raises `MalformedJSON`, also for what parsers or databases could interpret differently."""
    try:
        text = data.decode()
        if text.count("{") + text.count("[") > MAX_DEPTH:
            _require_shallow(text)
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJSON("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at").rstrip(": ")
        raise MalformedJSON(f"{reason} at line {error.lineno}, column {error.colno}.") from error
    if "\\u" in text:
        _require_storable(document)
    return document


dump_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedJSON("An object names the same key twice.")
    return members


def _parse_integer(digits: str) -> int:
    number = int(digits) if len(digits) <= _MAX_INTEGER_LENGTH else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise MalformedJSON("An integer does not fit into 64 bits.")
    return number


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise MalformedJSON("A number is too large.")
    return number


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
    """Raise `MalformedJSON` for deep nesting, before the recursive parser could exhaust the stack."""
    depth = 0
    for token in _TEXT_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise MalformedJSON(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _require_storable(value: Any) -> None:
    """Raise `MalformedJSON` for escaped characters that no database stores; unescaped ones do not reach this."""
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise MalformedJSON("A text holds a NUL character or a lone surrogate.")
    elif isinstance(value, dict):
        for name, member in value.items():
            _require_storable(name)
            _require_storable(member)
    elif isinstance(value, list):
        for member in value:
            _require_storable(member)


def encode_base64(raw: bytes) -> str:
    """Encode as standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode canonical standard base64. Raises `ValueError` for any other spelling."""
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


#: Characters with which a formula begins in a spreadsheet, with their full-width forms.
FORMULA_SIGNS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"
#: Such a character, or apostrophes before one, the first of which `unescape_formula` removes.
_FORMULA = re.compile(f"'*[{re.escape(FORMULA_SIGNS)}]").match


class _LineSink:
    """File object for `csv.writer` whose ``write`` returns the line."""

    def write(self, line: str) -> str:
        return line


def make_csv_writer(quoting: Any) -> Callable[[Iterable[Any]], bytes]:
    """Return a function that encodes cells as one line of CSV; `quoting` is a constant such as `csv.QUOTE_MINIMAL`."""
    write = csv.writer(_LineSink(), quoting=quoting).writerow
    return lambda cells: str(write(cells)).encode()


def escape_formula(text: str | None) -> str | None:
    """Return `text` with an apostrophe before it if a spreadsheet would evaluate it as a formula; None for None.

    A text that begins with apostrophes before a formula gets one more, so that `unescape_formula` restores every text.
    """
    return f"'{text}" if text is not None and _FORMULA(text) else text


def unescape_formula(text: str) -> str:
    """Return the text that was given to `escape_formula`."""
    return text[1:] if text.startswith("'") and _FORMULA(text) else text


_CONTROL_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def escape_control_characters(text: str) -> str:
    r"""Return `text` with line breaks, control and direction characters escaped as in ``\x1b``."""
    if text.isprintable():
        return text
    return "".join(_escape(char) if unicodedata.category(char) in _CONTROL_CATEGORIES else char for char in text)


def format_error(error: BaseException) -> str:
    """Return the message of `error` on one line, or the name of its class if it has none."""
    return escape_control_characters(" ".join(str(error).split())) or type(error).__name__


def _escape(char: str) -> str:
    return char if char in _JOINERS else char.encode("unicode_escape").decode("ascii")
