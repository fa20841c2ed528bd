"""A compact JWS (RFC 7515) with Ed25519 (RFC 8037): taken apart and made, byte for byte.

One algorithm, one type. Header parameters that bring keys of their own (`jwk`, `jku`, `x5c`, `x5u`) are not read;
an extension that must be understood (`crit`) is understood by nobody here and refuses the document.
"""

from __future__ import annotations

import base64
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from .errors import ASK, COPY, LicenseError

ALGORITHM = "EdDSA"
TYPE = "license+jws"
MAX_BYTES = 64 * 1024
MAX_TEXT = 256
#: What editors, shells and files of environment variables leave around a licence.
_ENDS = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s|\\[nrt])*|(?:\s|\\[nrt])+\Z")


class Envelope(NamedTuple):
    """A compact JWS taken apart; `signed` are the bytes, as received, that `signature` vouches for."""

    kid: str
    payload: bytes
    signed: bytes
    signature: bytes

    def check(self, key: Ed25519PublicKey) -> None:
        """Raise `LicenseError` unless `key` made the signature (RFC 8032 §5.1.7)."""
        try:
            key.verify(self.signature, self.signed)
        except InvalidSignature:
            raise LicenseError(f"The licence's signature does not fit the public key {self.kid!r}.", COPY) from None


def take_apart(text: str | bytes) -> Envelope:
    """Split a compact JWS of at most 64 KiB. Raises `LicenseError`.

    White space at its ends is not part of it, written out (``\\n``) or not, nor is the byte order mark of an editor.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise LicenseError("The licence is longer than 64 KiB.", COPY)
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raw = raw.decode("utf-16", "replace").encode()
    parts = _ENDS.sub(b"", raw).split(b".")
    if len(parts) != 3:
        raise LicenseError("The licence is not a compact JWS: three parts with two dots between them.", COPY)
    header, payload, signature = map(_decode, parts)
    return Envelope(_kid(strict_json(header, "header")), payload, b".".join(parts[:2]), signature)


def put_together(key: Ed25519PrivateKey, kid: str, claims: Mapping[str, Any]) -> str:
    """Sign `claims` with `key` as a compact JWS."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": TYPE}
    signed = b".".join(_encode(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return b".".join((signed, _encode(key.sign(signed)))).decode("ascii")


def strict_json(raw: bytes, name: str) -> dict[str, Any]:
    """Read one JSON object in UTF-8: no duplicate keys, no fractions, no NaN. Raises `LicenseError`."""
    try:
        value = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_unique, parse_float=_no_number, parse_constant=_no_number
        )
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise LicenseError(f"The licence's {name} is not strict JSON: one object, no key twice, whole numbers.", ASK)
    return value


def is_text(value: object) -> bool:
    """Say whether `value` is a text of 1 to 256 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT and value.isprintable()


def _kid(header: Mapping[str, Any]) -> str:
    if header.get("alg") != ALGORITHM:
        raise LicenseError(f"The licence is signed with another algorithm than {ALGORITHM} (Ed25519).", ASK)
    if header.get("typ") != TYPE:
        raise LicenseError(f"The document is no licence: its `typ` is not {TYPE!r}.", ASK)
    if "crit" in header:
        raise LicenseError("The licence demands an extension (`crit`) that this version does not know.", ASK)
    kid = header.get("kid")
    if not isinstance(kid, str) or not is_text(kid):
        raise LicenseError("The licence does not name the key that signed it (`kid`).", ASK)
    return kid


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _no_number(literal: str) -> NoReturn:
    raise ValueError("no whole number")


def _encode(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _decode(part: bytes) -> bytes:
    try:
        raw = base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = None
    if raw is None or _encode(raw) != part:
        raise LicenseError("The licence is damaged: a part of it is not canonical base64url.", COPY)
    return raw
