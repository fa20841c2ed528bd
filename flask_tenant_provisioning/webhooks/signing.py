"""Webhook signatures, and the secrets that create and verify them (Standard Webhooks 1.0.0).

======  ===========  ================================================================  ========================
scheme  algorithm    signs                                                             verifies
======  ===========  ================================================================  ========================
v1      HMAC-SHA256  ``whsec_`` and the base64 of 24 to 64 random bytes                the same
v1a     Ed25519      ``whsk_`` and the base64 of 64 bytes, the seed and the public key  ``whpk_`` and the latter's
======  ===========  ================================================================  ========================
"""

from __future__ import annotations

import hmac
import os
import re
from collections.abc import Callable, Sequence
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ..encoding import decode_base64, encode_base64

Scheme = Literal["v1", "v1a"]

SHARED_PREFIX, PRIVATE_PREFIX, PUBLIC_PREFIX = "whsec_", "whsk_", "whpk_"
#: The allowed ids: printable ASCII without space and comma, which separate header lists, and without the dot, which
#: separates the parts of the signed content.
ID_PATTERN = re.compile(r"[!-+\-/-~]{1,256}")
_TIMESTAMP_END = 10**12
_SEED_BYTES = 32


class InvalidSecret(ValueError):
    """The text is not a secret of the required kind. The message gives the reason and contains nothing of the text."""


class SharedSecret:
    """The secret that sender and receiver share (``v1``)."""

    scheme: Scheme = "v1"

    def __init__(self, raw: bytes) -> None:
        if not 24 <= len(raw) <= 64:
            raise InvalidSecret(f"A {SHARED_PREFIX} secret holds 24 to 64 bytes, not {len(raw)}.")
        self._raw = raw

    def sign(self, content: bytes) -> str:
        """Return the signature of `content` in base64."""
        return encode_base64(hmac.digest(self._raw, content, "sha256"))

    def matches(self, content: bytes, signature: str) -> bool:
        """Return whether `signature` is the signature of `content`, compared in constant time."""
        return hmac.compare_digest(self.sign(content).encode(), signature.encode())


class PublicKey:
    """The key that verifies signatures and is not secret (``v1a``)."""

    scheme: Scheme = "v1a"

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 32:
            raise InvalidSecret(f"A {PUBLIC_PREFIX} key holds 32 bytes, not {len(raw)}.")
        self._key = Ed25519PublicKey.from_public_bytes(raw)

    def matches(self, content: bytes, signature: str) -> bool:
        """Return whether `signature` is a valid signature of `content` (RFC 8032 §5.1.7)."""
        try:
            self._key.verify(decode_base64(signature), content)
        except (InvalidSignature, ValueError):
            return False
        return True


class PrivateKey:
    """The key that only the sender knows (``v1a``); `raw` is the seed followed by the public key."""

    scheme: Scheme = "v1a"

    def __init__(self, raw: bytes) -> None:
        if len(raw) != 64:
            raise InvalidSecret(f"A {PRIVATE_PREFIX} key holds 64 bytes, not {len(raw)}.")
        self._key = Ed25519PrivateKey.from_private_bytes(raw[:_SEED_BYTES])
        if self._key.public_key().public_bytes_raw() != raw[_SEED_BYTES:]:
            raise InvalidSecret(f"The public half of a {PRIVATE_PREFIX} key belongs to another seed.")

    def sign(self, content: bytes) -> str:
        """Return the signature of `content` in base64."""
        return encode_base64(self._key.sign(content))


SigningKey = SharedSecret | PrivateKey
VerifyingKey = SharedSecret | PublicKey


def new_secret(scheme: Scheme = "v1", random: Callable[[int], bytes] = os.urandom) -> str:
    """Generate a signing secret: ``whsec_…`` with 32 bytes for ``v1``, ``whsk_…`` for ``v1a``."""
    raw = random(32)
    if scheme == "v1":
        return SHARED_PREFIX + encode_base64(raw)
    return PRIVATE_PREFIX + encode_base64(
        raw + Ed25519PrivateKey.from_private_bytes(raw).public_key().public_bytes_raw()
    )


def for_receiver(secret: str) -> str:
    """Return the receiver's secret: a ``whsec_`` unchanged, the ``whpk_`` of a ``whsk_``. Raises `InvalidSecret`."""
    prefix, raw = _split_secret(secret, SHARED_PREFIX, PRIVATE_PREFIX)
    signing_key(secret)
    return secret if prefix == SHARED_PREFIX else PUBLIC_PREFIX + encode_base64(raw[_SEED_BYTES:])


def signing_key(secret: str) -> SigningKey:
    """Parse a ``whsec_`` or ``whsk_`` text into a key that can be reused. Raises `InvalidSecret`."""
    prefix, raw = _split_secret(secret, SHARED_PREFIX, PRIVATE_PREFIX)
    return SharedSecret(raw) if prefix == SHARED_PREFIX else PrivateKey(raw)


def parse_verifying_key(secret: str) -> VerifyingKey:
    """Parse a ``whsec_`` or ``whpk_`` text into a key. Raises `InvalidSecret`."""
    prefix, raw = _split_secret(secret, SHARED_PREFIX, PUBLIC_PREFIX)
    return SharedSecret(raw) if prefix == SHARED_PREFIX else PublicKey(raw)


def sign(keys: Sequence[SigningKey], id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header ``webhook-signature``: one signature per key, in the order of `keys`.

    `id` is the event's id, the same for every attempt. `timestamp` is the time of this attempt in seconds since 1970.
    `body` is the exact request body. Raises `TypeError` or `ValueError` for arguments that no receiver could verify.
    """
    if not keys:
        raise ValueError("There is no key to sign with.")
    if type(timestamp) is not int or not isinstance(body, bytes):
        raise TypeError("The timestamp of a webhook is a whole number, and its body bytes.")
    if not 0 <= timestamp < _TIMESTAMP_END:
        raise ValueError("The timestamp of a webhook is in seconds since 1970.")
    if not ID_PATTERN.fullmatch(id):
        raise ValueError("The id of a webhook is 1 to 256 printable ASCII characters, none a space, comma or dot.")
    content = build_signed_content(id, timestamp, body)
    return " ".join([f"{key.scheme},{key.sign(content)}" for key in keys])


def build_signed_content(id: str, timestamp: int, body: bytes) -> bytes:
    """Build the bytes that are signed."""
    return b"%b.%d.%b" % (id.encode(), timestamp, body)


def _split_secret(secret: str, *prefixes: str) -> tuple[str, bytes]:
    expected = " or ".join(prefixes)
    if not isinstance(secret, str):
        raise InvalidSecret(f"A secret is a text that begins with {expected}, not {type(secret).__name__}.")
    prefix = next((prefix for prefix in prefixes if secret.startswith(prefix)), None)
    if prefix is None:
        raise InvalidSecret(f"A secret for this purpose begins with {expected}.")
    try:
        return prefix, decode_base64(secret.removeprefix(prefix))
    except ValueError:
        raise InvalidSecret(f"What follows {prefix} must be standard base64, with its padding.") from None
