"""What a bearer token must look like before anybody spends a signature check on it (RFC 7515, RFC 7519)."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from ..problems import InvalidToken

LARGEST_TOKEN = 8192
_TYPES = {"JWT", "AT+JWT", "APPLICATION/AT+JWT"}
_PART = re.compile(r"[A-Za-z0-9_-]+")


def wellformed(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and claims of `token`, before anybody vouches for them.

    Raises `InvalidToken` for a token that a lenient parser could read in two ways, or that never expires.
    """
    if len(token) > LARGEST_TOKEN:
        raise InvalidToken("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken("The token is not a signed JWT.")
    header, claims, _ = [_bytes(part) for part in parts]
    found = _object(header), _object(claims)
    _check_header(found[0])
    _check_claims(found[1])
    return found


def _bytes(part: str) -> bytes:
    """Decode base64url, refusing padding and trailing bits: each token has one spelling."""
    if not _PART.fullmatch(part):
        raise InvalidToken("The token is not canonical base64url.")
    try:
        found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        found = b""
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise InvalidToken("The token is not canonical base64url.")
    return found


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidToken("The token holds malformed JSON.")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(constant)


def _check_header(header: dict[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    if "crit" in header or not isinstance(kind, str) or kind.upper() not in _TYPES:
        raise InvalidToken("The token is of another kind.")


def _check_claims(claims: dict[str, Any]) -> None:
    if not _is_time(claims.get("exp")) or not claims["exp"] > 0:
        raise InvalidToken("The token must carry exp, as a number of seconds.")
    if not all(_is_time(claims.get(name, 0)) for name in ("nbf", "iat")):
        raise InvalidToken("The token must carry nbf and iat as numbers of seconds, if at all.")
    if not isinstance(claims.get("sub"), str):
        raise InvalidToken("The token must carry sub, as a text.")


def _is_time(value: Any) -> bool:
    """Whether this is a NumericDate (RFC 7519 §2) in seconds: milliseconds would make a token live for ages."""
    return type(value) in (int, float) and 0 <= value < 1e12
