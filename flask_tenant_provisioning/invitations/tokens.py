"""The one-time tokens of invitations: derived from a key, so that each attempt to send one finds the same token again.

A token is base64url of the invitation's id (16 bytes) and a code (32 bytes): the HMAC-SHA256 of the id and of the
token's generation with a key of the mount's key ring. The database has the SHA-256 of the whole, from which no token
can be found, since a code has 256 bits.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

from ..encoding import decode_base64url, encode_base64url
from ..keyring import Keyring

#: The length of every token, in characters.
TOKEN_LENGTH = 64
_ID_BYTES = 16


def derive_tokens(keyring: Keyring, invitation_id: str, generation: int) -> Iterator[str]:
    """Iterate over the tokens of one generation: one for each key of the ring, the first key's first."""
    for code in keyring.derive_codes(f"invitation:{invitation_id}:{generation}"):
        yield encode_base64url(uuid.UUID(invitation_id).bytes + code)


def hash_token(token: str) -> str:
    """Return the SHA-256 of a token in hexadecimal, which is what the database has of it."""
    return hashlib.sha256(token.encode()).hexdigest()


def derive_hash(keyring: Keyring, invitation_id: str, generation: int) -> str:
    """Return the hash of the token that the first key gives."""
    return hash_token(next(derive_tokens(keyring, invitation_id, generation)))


def find_token(keyring: Keyring, invitation_id: str, generation: int, token_hash: str) -> str | None:
    """Return the token with this hash, or None if its key is no longer on the ring."""
    tokens = derive_tokens(keyring, invitation_id, generation)
    return next((token for token in tokens if hash_token(token) == token_hash), None)


def parse_invitation_id(token: object) -> str | None:
    """Return the id of the invitation that a token names, or None for a text that is no token."""
    if not isinstance(token, str) or len(token) != TOKEN_LENGTH:
        return None
    try:
        return str(uuid.UUID(bytes=decode_base64url(token)[:_ID_BYTES]))
    except ValueError:
        return None
