"""Identity providers whose tokens are accepted beside the host's own, verified by the keys that they publish
(RFC 7517).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jwt

from ..config import Config
from ..config_checks import IssuerConfig
from ..errors import InvalidToken, StorageUnavailable
from .key_sets import KeySet, fetch_public_keys
from .principal import Principal, find_claim, make_partner_missing

_UNAVAILABLE = "The keys of the token's issuer are currently unavailable."


class Issuer:
    """One identity provider: the keys that it publishes, and the principals of its tokens. Thread-safe."""

    def __init__(self, name: str, issuer: IssuerConfig, config: Config, clock: Callable[[], float]) -> None:
        self._name, self._issuer = name, issuer
        self._keys = KeySet(f"the issuer {name}", partial(fetch_public_keys, issuer.jwks), clock)
        self._config = dataclasses.replace(
            config,
            roles_claim=issuer.roles_claim or config.roles_claim,
            partner_claim=issuer.partner_claim or config.partner_claim,
            permissions_claim=issuer.permissions_claim or config.permissions_claim,
        )

    def get_trust(self, header: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the current key for a token with this header, as JSON; empty if there is none."""
        key = self._keys.find(header.get("kid"))
        return () if key is None else (self._name, key.text)

    def verify(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of `token`, whose header is given.

        Raises `InvalidToken` for an unknown key and for claims that the configuration does not accept, PyJWT's
        exceptions for what the token itself gets wrong, and `StorageUnavailable` while the provider's keys are unknown.
        """
        issuer, key = self._issuer, self._keys.find(header.get("kid"))
        if key is None and self._keys.has_failed:
            raise StorageUnavailable(_UNAVAILABLE)
        if key is None or key.algorithm not in (None, header.get("alg")):
            raise InvalidToken("The token's issuer has no such key.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[*issuer.algorithms],
            audience=issuer.audience if issuer.audience_claim == "aud" else None,
            issuer=self._name,
            leeway=issuer.leeway,
            options={"verify_aud": issuer.audience_claim == "aud", "require": ["exp", "iss"]},
        )
        self._check_claims(claims)
        return claims

    def read_principal(self, claims: Mapping[str, Any]) -> Principal:
        """Return the principal of verified `claims`. Raises `InvalidToken`, and `PartnerMissing` without a partner."""
        principal = Principal.from_claims(claims, self._config, self._issuer.roles, self._issuer.default_roles)
        if not (principal.partner or principal.sees_every_partner):
            raise make_partner_missing(self._config.partner_claim)
        return principal

    @property
    def leeway(self) -> int:
        """The accepted clock difference in seconds."""
        return self._issuer.leeway

    def _check_claims(self, claims: Mapping[str, Any]) -> None:
        """Raise `InvalidToken` unless the audience and the required claims are those of the configuration."""
        issuer = self._issuer
        if issuer.audience_claim != "aud" and not _has_value(claims, issuer.audience_claim, issuer.audience):
            raise InvalidToken("The token is for another audience.")
        for claim, values in issuer.require.items():
            if not _has_value(claims, claim, values):
                raise InvalidToken(f"The token needs another value in the claim {claim}.")


def _has_value(claims: Mapping[str, Any], claim: str, values: tuple[str, ...]) -> bool:
    """Return whether the claim is one of `values`, or a list with one of them."""
    value = find_claim(claims, claim)
    words = value if isinstance(value, list) else [value]
    return any(isinstance(word, str) and word in values for word in words)
