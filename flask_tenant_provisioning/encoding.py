"""JSON, base64, CSV and printable text, as this API reads, compares and writes them.

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
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .errors import MalformedJSON

MAX_DEPTH = 32
_MAX_INTEGER_LENGTH = 20
_TEXT_OR_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|[\[\]{}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def parse_json(data: bytes) -> Any:
    """Parse a JSON body. Raises `MalformedJSON`, also for what parsers or databases could interpret differently.

    Those are duplicate keys, NaN and Infinity, integers beyond 64 bits, numbers beyond a double, NUL characters, lone
    surrogates, and nesting deeper than `MAX_DEPTH`.
    """
    try:
        text = data.decode()
        _require_shallow(text)
        document = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise MalformedJSON("The body is not UTF-8.") from error
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at").rstrip(": ")
        raise MalformedJSON(f"{reason} at line {error.lineno}, column {error.colno}.") from error
    except ValueError as error:
        raise MalformedJSON(str(error)) from error
    if "\\u" in text:
        _require_storable(document)
    return document


def parse_json_object(data: bytes, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, without duplicate keys, NaN and deep nesting. Raises `ValueError`.

    For documents that are signed and short, such as tokens and licences: the limits of `parse_json` on numbers and
    texts do not apply, since their signer chose these and no database stores them. `parse_float` converts each number
    with a fraction or an exponent, and may raise `ValueError`.
    """
    text = data.decode()
    _require_shallow(text)
    value = json.loads(text, object_pairs_hook=_parse_object, parse_float=parse_float, parse_constant=_reject_constant)
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


dump_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _parse_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("An object names the same key twice.")
    return members


def _parse_integer(digits: str) -> int:
    number = int(digits) if len(digits) <= _MAX_INTEGER_LENGTH else 1 << 64
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("An integer does not fit into 64 bits.")
    return number


def _parse_float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("A number is too large.")
    return number


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_parse_object, parse_int=_parse_integer, parse_float=_parse_float, parse_constant=_reject_constant
)


def _require_shallow(text: str) -> None:
    """Raise `ValueError` for nesting deeper than `MAX_DEPTH`, which some Python releases parse and others do not."""
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for token in _TEXT_OR_BRACKET.finditer(text):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


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


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """Apply a merge patch to `target` and return the result (RFC 7396 §2)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge_patch(result.get(name), value)
    return result


def is_same_json(first: Any, second: Any) -> bool:
    """Return whether both values are the same JSON; unlike in Python, true is not 1."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def diff_json(previous: Any, new: Any) -> dict[str, Any]:
    """Return ``{"previous": …, "new": …}`` between two JSON values, as shown in events and histories.

    Of two objects, only the members that differ are included, at any depth. A member missing on one side was absent.
    """
    if not isinstance(previous, dict) or not isinstance(new, dict):
        return {"previous": previous, "new": new}
    difference: dict[str, Any] = {"previous": {}, "new": {}}
    for name in (*previous, *(name for name in new if name not in previous)):
        if name not in new:
            difference["previous"][name] = previous[name]
        elif name not in previous:
            difference["new"][name] = new[name]
        elif not is_same_json(previous[name], new[name]):
            below = diff_json(previous[name], new[name])
            difference["previous"][name], difference["new"][name] = below["previous"], below["new"]
    return difference


def encode_base64(raw: bytes) -> str:
    """Encode as standard base64 with padding."""
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Decode canonical standard base64. Raises `ValueError` for any other spelling."""
    raw = base64.b64decode(text, validate=True)
    if encode_base64(raw) != text:
        raise ValueError("not canonical")
    return raw


def encode_base64url(raw: bytes, *, padded: bool = False) -> str:
    """Encode as base64url, without padding as in a JWS (RFC 7515 §2), or `padded` as in RFC 4648 §5."""
    text = base64.urlsafe_b64encode(raw)
    return (text if padded else text.rstrip(b"=")).decode("ascii")


def decode_base64url(text: str, *, padded: bool = False) -> bytes:
    """Decode what `encode_base64url` returns. Raises `ValueError` for any other spelling."""
    raw = base64.b64decode(text if padded else text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if encode_base64url(raw, padded=padded) != text:
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
