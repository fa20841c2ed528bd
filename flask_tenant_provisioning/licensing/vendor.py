"""The vendor's side, offline: make a key pair and sign licences. A host does not need this module to run."""

from __future__ import annotations

import base64
import hashlib
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from .document import ALGORITHM, ANY_INSTALL, DAY, EDITION, FEATURE, JWS_TYPE, LicenseError, authenticate

ISSUER = "flask-tenant-provisioning"


@dataclass(frozen=True)
class KeyPair:
    """A new key: `private_pem` (PKCS #8, not encrypted) stays with the vendor, `public` (base64) is for the hosts."""

    kid: str
    private_pem: bytes
    public: str


def keygen(kid: str | None = None) -> KeyPair:
    """Make an Ed25519 key pair. Without `kid`, its id is the first 12 hex digits of the public key's SHA-256."""
    key = Ed25519PrivateKey.generate()
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return KeyPair(kid or hashlib.sha256(raw).hexdigest()[:12], pem, format_public_key(key.public_key()))


def format_public_key(key: Ed25519PublicKey) -> str:
    """Format a public key as base64 of its 32 bytes, as the configuration takes it."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode("ascii")


def private_key(pem: bytes) -> Ed25519PrivateKey:
    """Parse a private key from PEM. Raises `LicenseError` if it is invalid, encrypted, or not an Ed25519 key."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise LicenseError("The key is no private Ed25519 key in PEM.", "Make one with `license keygen`.")
    return key


def issue(
    key: Ed25519PrivateKey,
    kid: str,
    *,
    customer: str,
    install: str | Iterable[str] = ANY_INSTALL,
    not_before: int | None = None,
    expires: int | None = None,
    max_tenants: int | None = None,
    features: Iterable[str] = (),
    edition: str = EDITION,
    warn_days: int = 30,
    grace_days: int = 14,
    id: str | None = None,
    issuer: str = ISSUER,
) -> str:
    """Sign a licence and return its text, one line without a newline.

    Times are seconds since 1970: `not_before` is now by default, `expires` 365 days later. `tenant-provisioning` is
    always among the features. Raises `LicenseError` if the result would not be a valid licence.
    """
    begin = int(time.time()) if not_before is None else not_before
    text = jwt.encode(
        {
            "iss": issuer,
            "sub": customer,
            "aud": install if isinstance(install, str) else list(install),
            "jti": str(uuid.uuid4()) if id is None else id,
            "edition": edition,
            "features": sorted({FEATURE, *features}),
            "max_tenants": max_tenants,
            "nbf": begin,
            "exp": begin + 365 * DAY if expires is None else expires,
            "warn_days": warn_days,
            "grace_days": grace_days,
        },
        key,
        ALGORITHM,
        headers={"kid": kid, "typ": JWS_TYPE},
    )
    authenticate(text, {kid: format_public_key(key.public_key())}, ())
    return text
