"""The key that a request carries, and what tells its request from another."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from flask import request

from ...problems import InvalidIdempotencyKey

_BARE = re.compile(r"[\x21-\x7e][\x20-\x7e]*")
_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
LONGEST_KEY = 255


class Identity(NamedTuple):
    """Whose key it is, the key, and the fingerprint of the request that it was sent with."""

    partner: str
    key: str
    fingerprint: str


def sent_key(partner: str, body: Any) -> Identity | None:
    """The key of this request from `partner` with the JSON `body`. Raises `InvalidIdempotencyKey`."""
    header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
    return None if header is None else Identity(partner, _key(header), _fingerprint(body))


def _key(header: str) -> str:
    """The key, bare or as a structured field's string (RFC 8941 §3.3.3)."""
    sent = header.strip()
    quoted = _QUOTED.fullmatch(sent)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else sent
    if not 1 <= len(key) <= LONGEST_KEY or not (quoted or (_BARE.fullmatch(key) and not key.startswith('"'))):
        raise InvalidIdempotencyKey(f"The key must have 1 to {LONGEST_KEY} printable ASCII characters.")
    return key


def _fingerprint(body: Any) -> str:
    """Method, path, query and the body in one canonical spelling."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    parts = (request.method, request.path, request.query_string.decode("latin-1"), canonical)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
