"""Tenants of the plainest kind, which nearly all are: seen to be valid at a tenth of what a whole look costs.

A test holds this against the schema. What is not plain, valid or not, is left to that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..config import Settings
from ..web.validation import is_visible
from .fields import LONGEST_KEY, LONGEST_NAME, LONGEST_VALUE, MOST_KEYS, PHONE, is_plain_address, name_key

#: How long these texts may be, from and to, in characters.
_TEXTS = {"external_id": (1, 128), "industry": (0, 100), "plan": (0, 100)}


def plainly(settings: Settings, plans: tuple[str, ...] | None) -> Callable[[Any], dict[str, Any] | None]:
    """What gives the valid values of a whole tenant on one of `plans`, or None where it does not see that they are."""
    if settings.phone_e164:
        return lambda _body: None
    return partial(_plain, plans=plans)


def _plain(body: Any, plans: tuple[str, ...] | None) -> dict[str, Any] | None:
    if type(body) is not dict:
        return None
    found: dict[str, Any] = {}
    for name, value in body.items():
        read = _READ.get(name)
        if read is None or (value is None and name in _REQUIRED):
            return None
        if value is None:
            found[name] = {} if name == "metadata" else None
        elif (kept := read(name, value)) is None:
            return None
        else:
            found[name] = kept
    if not found.keys() >= _REQUIRED or (plans is not None and found.get("plan") not in (None, *plans)):
        return None
    found["email_key"], found["name_key"] = found["email"].lower(), name_key(found["client_name"])
    return found


def _client_name(_name: str, value: Any) -> str | None:
    if type(value) is not str or "\0" in value:
        return None
    value = value.strip()
    return value if 1 <= len(value) <= LONGEST_NAME and (_is_plain(value) or is_visible(value)) else None


def _is_plain(value: str) -> bool:
    """Return whether a trimmed text is ASCII and shows at least one character."""
    return value.isascii() and value.isprintable()


def _email(_name: str, value: Any) -> str | None:
    return value if type(value) is str and len(value) <= 254 and is_plain_address(value) else None


def _text(name: str, value: Any) -> str | None:
    shortest, longest = _TEXTS[name]
    return value if type(value) is str and shortest <= len(value) <= longest and "\0" not in value else None


def _industry(name: str, value: Any) -> str | None:
    found = _text(name, value)
    return found if not found or (_is_plain(found) and not found.isspace()) or is_visible(found) else None


def _phone(_name: str, value: Any) -> str | None:
    return value if type(value) is str and len(value) <= 32 and PHONE.fullmatch(value) else None


def _metadata(_name: str, value: Any) -> Mapping[str, str] | None:
    if type(value) is not dict or len(value) > MOST_KEYS:
        return None
    for key, text in value.items():
        if type(text) is not str or len(text) > LONGEST_VALUE or not 1 <= len(key) <= LONGEST_KEY:
            return None
    return value


_REQUIRED = frozenset({"client_name", "email"})
_READ: Mapping[str, Callable[[str, Any], Any]] = {
    "client_name": _client_name,
    "email": _email,
    "phone_number": _phone,
    "metadata": _metadata,
    **dict.fromkeys(_TEXTS, _text),
    "industry": _industry,
}
