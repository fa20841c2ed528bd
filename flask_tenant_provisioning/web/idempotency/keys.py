"""The key that a request carries, and what tells its request from another."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

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


def sent_key(principal: Principal, body: Any, *, validate_only: bool = False) -> Identity | None:
    """The key of this request from `principal` with the JSON `body`; with `validate_only` that of the write it tries.

    Raises `InvalidIdempotencyKey`.
    """
    header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    if header is None:
        return None
    query = request.query_string.decode("latin-1")
    if validate_only:
        query = "&".join(part for part in query.split("&") if unquote_plus(part.partition("=")[0]) != "validate_only")
    unfenced = principal.sees_every_partner
    return Identity(principal.partner, _key(header), _fingerprint(unfenced, query, body))


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


def _fingerprint(unfenced: bool, query: str, body: Any) -> str:
    """Method, path, query and the body in one canonical spelling; an administrator's answers are nobody else's."""
    return fingerprint(unfenced, request.method, request.path, query, body)


def _canonical(value: Any) -> Any:
    """The same JSON with each whole number an integer, however it was spelled."""
    if isinstance(value, dict):
        return {name: _canonical(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_canonical(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
