"""The vendor's public keys, by key id: PEM, or base64 of the 32 bytes (RFC 8032 §5.1.5)."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from .errors import LicenseError

SETTING = "PROVISIONING_LICENSE_PUBLIC_KEYS"


def public_key(keys: Mapping[str, str], kid: str) -> Ed25519PublicKey:
    """Return the key that `kid` names and no other. Raises `LicenseError` where it is absent or no Ed25519 key."""
    if kid not in keys:
        raise LicenseError(
            f"The licence is signed with the key {kid!r}, of which no public key is configured.",
            f"Add the vendor's public key of that id to {SETTING}, or ask for a licence signed with a known key.",
        )
    key = _read(_unescaped(keys[kid]))
    if key is None:
        raise LicenseError(
            f"The public key configured for {kid!r} cannot be used.",
            f"Put the vendor's Ed25519 public key into {SETTING}: PEM, or base64 of its 32 bytes.",
        )
    return key


def as_text(key: Ed25519PublicKey) -> str:
    """Write a public key as base64 of its 32 bytes, the way the configuration takes it."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")


def _unescaped(text: str) -> str:
    """A key as it was before a file of environment variables wrote its line ends out, or an editor marked it."""
    return text.removeprefix("\ufeff").replace("\\r", "").replace("\\n", "\n").strip()


def _read(text: str) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(text.encode()) if text.startswith("-----BEGIN ") else _from_base64(text)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def _from_base64(text: str) -> Ed25519PublicKey:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    return Ed25519PublicKey.from_public_bytes(raw)
