"""Tokens that an attacker makes out of a valid one, without the key that signed it (RFC 8725)."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt import get_algorithm_by_name

_CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


class TokenParts(NamedTuple):
    """The parts of a token: header, claims and signature."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signature: str

    @classmethod
    def parse(cls, token: str) -> TokenParts:
        """Split `token` into its parts."""
        header, claims, signature = token.split(".")
        return cls(_decode_part(header), _decode_part(claims), signature)

    def encode_token(self, sign: Callable[[bytes], bytes] | None = None) -> str:
        """Return the token with the signature that `sign` makes of its message, by default the old one."""
        message = f"{_encode_part(self.header)}.{_encode_part(self.claims)}"
        return f"{message}.{self.signature if sign is None else encode_base64url(sign(message.encode()))}"

    def with_claims(self, **claims: Any) -> TokenParts:
        """Return the parts with these claims changed or added."""
        return self._replace(claims={**self.claims, **claims})

    def with_header(self, **header: Any) -> TokenParts:
        """Return the parts with these members of the header changed or added."""
        return self._replace(header={**self.header, **header})


def make_unsigned(parts: TokenParts, spelling: str) -> str:
    """A token that says that it needs no signature."""
    return parts.with_header(alg=spelling).encode_token(lambda _: b"")


def sign_with_another_key(parts: TokenParts) -> str:
    """A token that another key of the same kind signed."""
    used = get_algorithm_by_name(parts.header["alg"])
    key = used.prepare_key(_make_another_key(parts.header["alg"]))
    return parts.encode_token(lambda message: bytes(used.sign(message, key)))


def sign_with_public_key(parts: TokenParts, public: str) -> str:
    """Return a token whose HMAC secret is the public key."""
    return parts.with_header(alg="HS256").encode_token(lambda message: hmac.digest(public.encode(), message, "sha256"))


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _make_another_key(algorithm: str) -> Any:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(65537, 2048)
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else "another secret, " * 8


def _encode_part(value: dict[str, Any]) -> str:
    return encode_base64url(json.dumps(value, separators=(",", ":")).encode())


def _decode_part(part: str) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return values
