"""The key that a request carries, and what tells its request from another."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from flask import request

from ...access import Principal
from ...problems import InvalidIdempotencyKey

#: Without a comma: two lines of one header arrive joined by it.
_BARE = re.compile(r"[ !#-+\--~]+")
_QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])+)"')
_ESCAPED = re.compile(r'\\(["\\])')
LONGEST_KEY = 255


class Identity(NamedTuple):
    """Whose key it is, the key, and the fingerprint of the request that it was sent with."""

    partner: str
    key: str
    fingerprint: str


def sent_key(principal: Principal, body: Any) -> Identity | None:
    """The key of this request from `principal` with the JSON `body`. Raises `InvalidIdempotencyKey`."""
    header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return None
    return Identity(principal.partner, _key(header), _fingerprint(principal.sees_every_partner, body))


def _key(header: str) -> str:
    """The key, bare or as a structured field's string (RFC 8941 §3.3.3)."""
    sent = header.strip(" \t")
    quoted = _QUOTED.fullmatch(sent)
    key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else sent
    if not is_key(key) or not (quoted or _BARE.fullmatch(key)):
        raise InvalidIdempotencyKey(f"The key must have 1 to {LONGEST_KEY} printable ASCII characters.")
    return key


def is_key(text: Any) -> bool:
    """Whether it is 1 to 255 printable ASCII characters."""
    return isinstance(text, str) and 1 <= len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()


def fingerprint(*parts: Any) -> str:
    """What tells JSON values from others, however they were spelled."""
    return hashlib.sha256(json.dumps(_canonical([*parts]), sort_keys=True).encode()).hexdigest()


def _fingerprint(unfenced: bool, body: Any) -> str:
    """Method, path, query and the body in one canonical spelling; an administrator's answers are nobody else's."""
    query = request.query_string.decode("latin-1")
    return fingerprint(unfenced, request.method, request.path, query, body)


def _canonical(value: Any) -> Any:
    """The same JSON with each whole number an integer, however it was spelled."""
    if isinstance(value, dict):
        return {name: _canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_canonical(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
