"""Regular expressions of the document, which JavaScript (with the flag ``u``) and Go (RE2) compile alike.

RE2 has no lookaround, and the two have no escape in common for characters beyond U+00FF. Where a rule needs either,
``pattern`` says what both can say, and ``x-pattern`` the whole rule for ECMA-262: it refuses what ``pattern`` refuses,
and more.
"""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any

from email_validator import SPECIAL_USE_DOMAIN_NAMES

from ..access.principal import RESERVED_SUFFIXES
from ..tenants.fields import CONTROL
from ..validation import INVISIBLE

#: The keyword of the whole rule.
EXACT_KEY = "x-pattern"
STORABLE_PATTERN = "^[^\\x00]*$"
#: UTC, with milliseconds and ``Z`` (RFC 3339 §5.6).
INSTANT_PATTERN = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z$"
#: The pattern of partner ids, which approximates `access.principal.is_partner_id`: no control, format or separator
#: characters, no path segment ``.`` or ``..``, and no reserved suffix.
PARTNER_ID_PATTERNS = {
    "pattern": "^[^\\x00-\\x1f\\x7f-\\xa0]+$",
    EXACT_KEY: f"^(?!(?:.*/)?\\.{{1,2}}(?:/|$))(?!.*(?:{'|'.join(RESERVED_SUFFIXES)})$)(?=.*[^ ])"
    "[^\\u0000-\\u001f\\u007f-\\u00a0\\u00ad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u1680\\u180e\\u2000-\\u200f"
    "\\u2028-\\u202f\\u205f-\\u206f\\u3000\\ud800-\\uf8ff\\ufeff\\ufff0-\\ufffb]+$",
}
#: With the limits of its length, what `tenants.fields.PHONE_PATTERN` says.
PHONE_PATTERN = "^[+0-9 ().-]*[0-9][+0-9 ().-]*$"
#: A text with a character that is no white space and no NUL.
_NOT_BLANK = "[^\\x00]*[^\\s\\x00][^\\x00]*"
#: A group that is not ``(?:``, a backreference, or an escape that one of the engines does not know.
_UNPORTABLE = re.compile(r"\(\?(?!:)|\\[^\^$\\.*+?()\[\]{}|/dDwWsSbBnrtvfx-]|\\x(?![0-9A-Fa-f]{2})")


def is_portable(pattern: str) -> bool:
    """Return whether JavaScript and Go compile `pattern`, as far as its groups and escapes decide."""
    return _UNPORTABLE.search(pattern) is None


def keep_portable(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with a ``pattern`` that not every engine compiles under ``x-pattern`` instead."""
    pattern = schema.get("pattern")
    if pattern is None or is_portable(pattern):
        return schema
    return {EXACT_KEY if key == "pattern" else key: value for key, value in schema.items()}


def build_trimmed_patterns(shortest: int, longest: int, *, visible: bool) -> dict[str, str]:
    """Build the patterns of a text with `shortest` to `longest` (at least 2) characters after ``str.strip``.

    With `visible`, one of them must be visible. `shortest` is 0 or 1 for a text that may be empty or not.
    """
    whitespace, inner = f"[{_build_whitespace_class()}]*", "[^\\u0000]"
    edge = f"[^{_build_whitespace_class()}\\u0000]"
    following = f"(?:{inner}{{{max(shortest - 2, 0)},{longest - 2}}}{edge}){'?' if shortest < 2 else ''}"
    exact = f"^{whitespace}(?:{edge}{following}){'' if shortest else '?'}{whitespace}$"
    return {
        "pattern": f"^{_NOT_BLANK}$" if shortest else STORABLE_PATTERN,
        EXACT_KEY: _require_visible(exact) if visible else exact,
    }


def build_one_line_patterns(shortest: int, longest: int) -> dict[str, str]:
    """Build the patterns of a text without control characters that is trimmed, and has a visible character then."""
    patterns = build_trimmed_patterns(shortest, longest, visible=True)
    return {
        "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]+$",
        EXACT_KEY: f"^(?![\\s\\S]*[{CONTROL}]){patterns[EXACT_KEY].removeprefix('^')}",
    }


def build_visible_patterns(*, may_be_empty: bool) -> dict[str, str]:
    """Build the patterns of a text with a visible character."""
    exact = _require_visible(STORABLE_PATTERN)
    if may_be_empty:
        return {"pattern": f"^({_NOT_BLANK})?$", EXACT_KEY: f"{exact}|^$"}
    return {"pattern": f"^{_NOT_BLANK}$", EXACT_KEY: exact}


def _require_visible(pattern: str) -> str:
    """Extend `pattern` to require at least one visible character."""
    return f"^(?=[\\s\\S]*[^{INVISIBLE}]){pattern.removeprefix('^')}"


@functools.cache
def build_reserved_email_pattern() -> str:
    """Build the pattern of addresses in the special-use domains that email-validator refuses (RFC 6761)."""
    names = ("".join(f"[{letter}{letter.upper()}]" for letter in name) for name in SPECIAL_USE_DOMAIN_NAMES)
    return f"@([^@]*\\.)?({'|'.join(names)})$"


@functools.cache
def _build_whitespace_class() -> str:
    """Build the content of a character class that matches what ``str.strip`` removes."""
    codes = [code for code in range(0x10000) if chr(code).isspace()]
    runs = [[code for _, code in run] for _, run in itertools.groupby(enumerate(codes), lambda pair: pair[1] - pair[0])]
    return "".join(f"\\u{run[0]:04x}" + (f"-\\u{run[-1]:04x}" if run[1:] else "") for run in runs)
