"""Access tokens of API clients: JWTs that the mount itself signs and verifies (RFC 9068).

They are signed with a key of the mount's own, never with the host's JWT key: a view of the host's that is guarded by
Flask-JWT-Extended alone must not accept them. The key id in their header tells them from all other tokens.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flask import Flask
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from ..config import Config, ConfigurationError, config_name
from ..encoding import encode_base64url
from ..errors import InvalidToken
from ..keyring import get_cursor_secret
from .principal import Principal, is_partner_id

#: The `typ` of an access token's header (RFC 9068 §2.1).
TOKEN_TYPE = "at+jwt"  # noqa: S105
#: The accepted difference in seconds between the clocks of the machines that serve a mount.
LEEWAY_SECONDS = 5
_MIN_RSA_BITS = 2048
_AUDIENCE_PREFIX = "urn:flask-tenant-provisioning:"
_DERIVATION = b"flask-tenant-provisioning client tokens\0"
#: The members of a JWK from which its thumbprint is made (RFC 7638 §3.2, RFC 8037 §2).
_THUMBPRINT_MEMBERS = ("crv", "e", "kty", "n", "x", "y")


class IssuedToken(NamedTuple):
    """An access token, for how many seconds it is valid, and the permissions that it grants, separated by spaces."""

    access_token: str
    expires_in: int
    scope: str

    def __repr__(self) -> str:
        return f"IssuedToken(expires_in={self.expires_in}, scope={self.scope!r})"


class SigningKey(NamedTuple):
    """The key of a mount's tokens: its id, its only algorithm, and what signs and verifies.

    `public_jwk` is the public half as a JWK (RFC 7517); None for a shared secret. The `repr` shows no key.
    """

    kid: str
    algorithm: str
    signing: Any
    verifying: Any
    public_jwk: Mapping[str, str] | None

    def __repr__(self) -> str:
        return f"SigningKey({self.kid!r}, {self.algorithm!r})"


class ClientTokens:
    """Issues and verifies the access tokens of one mount's API clients.

    `audience` is a mount's own, so that the token of one mount is not accepted by another that has the same secret.
    `clock` returns seconds since 1970, `new_id` the ids of tokens.
    """

    #: The accepted clock difference in seconds.
    leeway = LEEWAY_SECONDS

    def __init__(
        self,
        key: SigningKey,
        audience: str,
        *,
        seconds: int,
        issuer: str | None,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self.key = key
        self.audience = audience
        self._seconds = seconds
        self._issuer = issuer
        self._clock = clock
        self._new_id = new_id

    def issue(
        self, *, client_id: str, partner: str, permissions: Iterable[str], generation: int, issuer: str
    ) -> IssuedToken:
        """Return a token for a client of `partner` that grants `permissions`, in their order.

        `issuer` is the URL at which the client reached the mount; `PROVISIONING_OAUTH_ISSUER` replaces it.
        """
        now, scope = int(self._clock()), " ".join(permissions)
        claims = {
            "iss": self._issuer or issuer,
            "aud": self.audience,
            "sub": client_id,
            "client_id": client_id,
            "partner_id": partner,
            "scope": scope,
            "generation": generation,
            "jti": self._new_id(),
            "iat": now,
            "exp": now + self._seconds,
        }
        header = {"typ": TOKEN_TYPE, "kid": self.key.kid}
        token = jwt.encode(claims, self.key.signing, self.key.algorithm, headers=header)
        return IssuedToken(token, self._seconds, scope)

    def has_signed(self, header: Mapping[str, Any]) -> bool:
        """Return whether the header names this mount's key: no other key or issuer is then asked."""
        return header.get("kid") == self.key.kid

    def get_trust(self, _header: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return what a verified token's trust depends on: this key."""
        return (self.key.kid,)

    def verify(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of `token`, whose header names this key. The expiry is checked by `TokenVerifier`.

        Raises `InvalidToken` for another type, algorithm, audience or issuer and for missing claims, and PyJWT's
        exceptions for a wrong signature.
        """
        if str(header.get("typ", "")).lower() not in (TOKEN_TYPE, f"application/{TOKEN_TYPE}"):
            raise InvalidToken("The token is of another kind.")
        claims: dict[str, Any] = jwt.decode(
            token,
            self.key.verifying,
            algorithms=[self.key.algorithm],
            audience=self.audience,
            issuer=self._issuer,
            options={"require": ["iss", "sub", "exp", "iat"], "verify_exp": False, "verify_iat": False},
        )
        if claims["iat"] > self._clock() + self.leeway:
            raise InvalidToken("The token is not valid yet.")
        return claims

    def read_principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return the principal of verified `claims`. Raises `InvalidToken` for a claim of the wrong type."""
        client_id, partner, generation = claims.get("client_id"), claims.get("partner_id"), claims.get("generation")
        scope = claims.get("scope")
        is_valid = client_id == claims["sub"] and is_partner_id(partner) and isinstance(scope, str)
        if not is_valid or type(generation) is not int:
            raise InvalidToken("The token is no access token of a client.")
        return Principal(
            subject=str(client_id),
            partner=str(partner),
            permissions=frozenset(str(scope).split(" ")) - {""},
            client_generation=generation,
        )


def make_client_tokens(
    app: Flask, config: Config, name: str, *, clock: Callable[[], float], new_id: Callable[[], str]
) -> ClientTokens | None:
    """Return the tokens of the mount `name`; None without a secret or a private key to sign them.

    Raises `ConfigurationError` for an unusable private key.
    """
    if config.client_private_key is not None:
        key = load_private_key(config.client_private_key)
    elif secret := get_cursor_secret(app, config):
        key = derive_shared_key(secret, name)
    else:
        return None
    return ClientTokens(
        key,
        f"{_AUDIENCE_PREFIX}{name}",
        seconds=config.client_token_seconds,
        issuer=config.oauth_issuer,
        clock=clock,
        new_id=new_id,
    )


def derive_shared_key(secret: str, name: str) -> SigningKey:
    """Derive the key of the mount `name` from its `secret` by HKDF-SHA256 (RFC 5869)."""
    derived = HKDF(SHA256(), 40, None, _DERIVATION + name.encode()).derive(secret.encode())
    kid, key = f"ftp-{derived[:8].hex()}", derived[8:]
    return SigningKey(kid, "HS256", key, key, None)


def load_private_key(pem: str) -> SigningKey:
    """Load a private key from its PEM. Raises `ConfigurationError` if no algorithm for tokens goes with it."""
    expected = f"{config_name('client_private_key')} must be a private key in PEM, without a passphrase"
    try:
        private = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{expected}.") from error
    if isinstance(private, RSAPrivateKey) and private.key_size >= _MIN_RSA_BITS:
        algorithm, jwk = "RS256", RSAAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        algorithm, jwk = "ES256", ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
    elif isinstance(private, Ed25519PrivateKey):
        algorithm, jwk = "EdDSA", OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
    else:
        raise ConfigurationError(f"{expected}: RSA of {_MIN_RSA_BITS} bits or more, P-256, or Ed25519.")
    members = {name: jwk[name] for name in _THUMBPRINT_MEMBERS if name in jwk}
    kid = compute_thumbprint(members)
    public = {**members, "kid": kid, "use": "sig", "alg": algorithm}
    return SigningKey(kid, algorithm, private, private.public_key(), public)


def compute_thumbprint(members: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK's required members as base64url (RFC 7638)."""
    text = json.dumps(members, sort_keys=True, separators=(",", ":"))
    return encode_base64url(hashlib.sha256(text.encode()).digest())
