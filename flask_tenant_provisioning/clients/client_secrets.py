"""The secrets of API clients: 32 random bytes each; only their SHA-256 is stored.

A secret is as hard to guess as a key, so a fast hash is enough, and a wrong one costs no more than a right one. Two are
valid while one replaces the other.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable

from ..encoding import encode_base64url
from .models import Client

#: The beginning of each secret, by which scanners for leaked secrets recognise it.
SECRET_PREFIX = "ftpsecret_"  # noqa: S105
_SECRET_BYTES = 32
#: What the secret of an unknown client is compared with; no text has this hash.
_NO_HASH = "0" * 64
Random = Callable[[int], bytes]


def make_secret(random: Random = os.urandom) -> str:
    """Return a new secret. `random` returns that many random bytes."""
    return SECRET_PREFIX + encode_base64url(random(_SECRET_BYTES))


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal, as it is stored."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def is_secret_of(client: Client | None, secret: str, moment: str) -> bool:
    """Return whether `secret` is a valid secret of the client at this instant. For an unknown client, pass None.

    The same is computed for every client and every secret, so that the time it takes tells nothing about either.
    """
    given, hashes = hash_secret(secret), [_NO_HASH, _NO_HASH]
    if client is not None:
        is_previous_valid = moment < (client.previous_secret_expires_at or "")
        previous = client.previous_secret_hash if is_previous_valid else None
        hashes = [client.secret_hash or _NO_HASH, previous or _NO_HASH]
    matches = [hmac.compare_digest(given, known) for known in hashes]
    return any(matches)
