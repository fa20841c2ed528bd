"""Identity providers whose tokens are accepted beside the host's own, verified by the keys that they publish
(RFC 7517).
"""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt
from jwt import PyJWK, PyJWKClient, PyJWTError

from ..config import Config
from ..config_checks import IssuerConfig
from ..encoding import format_error, parse_json_object
from ..errors import InvalidToken, StorageUnavailable
from .principal import Principal, find_claim, make_partner_missing

logger = logging.getLogger(__name__)
#: Seconds after which keys are fetched again, so that a withdrawn key is no longer trusted.
KEY_SECONDS = 900.0
#: The shortest interval in seconds between two fetches: for an unknown key id, and after a failure.
FETCH_INTERVAL_SECONDS = 60.0
_FETCH_TIMEOUT_SECONDS = 5.0
_UNAVAILABLE = "The keys of the token's issuer are currently unavailable."


class PublicKey(NamedTuple):
    """A provider's key: its JSON, the key itself, and the only algorithm that it may be used with; None for any."""

    text: str
    key: Any
    algorithm: str | None


PublicKeys = Mapping[str | None, PublicKey]


class Issuer:
    """One identity provider: the keys that it publishes, and the principals of its tokens.

    Keys are fetched at the first token, for an unknown key id, and when they are older than `KEY_SECONDS`. While the
    provider does not respond, the keys of the last fetch stay valid. Thread-safe.
    """

    def __init__(self, name: str, issuer: IssuerConfig, config: Config, clock: Callable[[], float]) -> None:
        self._name, self._issuer, self._clock = name, issuer, clock
        self._config = dataclasses.replace(
            config,
            roles_claim=issuer.roles_claim or config.roles_claim,
            partner_claim=issuer.partner_claim or config.partner_claim,
            permissions_claim=issuer.permissions_claim or config.permissions_claim,
        )
        self._keys: PublicKeys = {}
        self._fetched_at = self._tried_at = float("-inf")
        self._has_failed = False
        self._lock = threading.Lock()

    def get_trust(self, header: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the current key for a token with this header, as JSON; empty if there is none."""
        key = self._find_key(header.get("kid"))
        return () if key is None else (self._name, key.text)

    def verify(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        """Return the claims of `token`, whose header is given.

        Raises `InvalidToken` for an unknown key and for claims that the configuration does not accept, PyJWT's
        exceptions for what the token itself gets wrong, and `StorageUnavailable` while the provider's keys are unknown.
        """
        issuer, key = self._issuer, self._find_key(header.get("kid"))
        if key is None and self._has_failed:
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

    def _find_key(self, kid: Any) -> PublicKey | None:
        """Return the key of this id, or None. Fetches the keys if that is due."""
        if not isinstance(kid, str | None):
            return None
        now = self._clock()
        known = self._keys.get(kid)
        is_due = known is None or now - self._fetched_at >= KEY_SECONDS
        if is_due and now - self._tried_at >= FETCH_INTERVAL_SECONDS:
            # One request at a time fetches. With a known key, the others do not wait for it.
            if self._lock.acquire(blocking=known is None):
                try:
                    if now - self._tried_at >= FETCH_INTERVAL_SECONDS:
                        self._refresh(now)
                finally:
                    self._lock.release()
            known = self._keys.get(kid)
        return known

    def _refresh(self, now: float) -> None:
        """Fetch the keys, and keep the old ones if that fails."""
        self._tried_at = now
        try:
            fetched = fetch_public_keys(self._issuer.jwks)
        except (OSError, ValueError, PyJWTError) as error:
            self._has_failed = True
            logger.warning(
                "the keys of the issuer %s cannot be fetched: %s",
                self._name,
                format_error(error),
                extra={"issuer": self._name, "error": type(error).__name__},
            )
            return
        self._has_failed, self._fetched_at = False, now
        self._keys = fetched


def fetch_public_keys(location: str) -> PublicKeys:
    """Fetch a JSON Web Key Set from a URL or a file, and return its keys by their ids.

    Raises `OSError`, `ValueError` or PyJWT's exceptions.
    """
    if "://" in location:
        return parse_public_keys(
            PyJWKClient(location, cache_jwk_set=False, timeout=_FETCH_TIMEOUT_SECONDS).fetch_data()
        )
    with open(location, "rb") as file:
        return parse_public_keys(parse_json_object(file.read()))


def parse_public_keys(key_set: Any) -> PublicKeys:
    """Return the public signature keys of a JSON Web Key Set by their ids.

    A set of one key has it under None too, for tokens that name no key. Keys of an unknown kind are left out. Raises
    `ValueError` if this is no key set.
    """
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JSON Web Key Set")
    keys: dict[str | None, PublicKey] = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        kid, algorithm = entry.get("kid"), entry.get("alg")
        try:
            key = PyJWK(entry).key
        except PyJWTError:
            continue
        if isinstance(kid, str | None):
            keys.setdefault(kid, PublicKey(json.dumps(entry, sort_keys=True), key, algorithm))
    if len(keys) == 1:
        keys[None] = next(iter(keys.values()))
    return keys


def _has_value(claims: Mapping[str, Any], claim: str, values: tuple[str, ...]) -> bool:
    """Return whether the claim is one of `values`, or a list with one of them."""
    value = find_claim(claims, claim)
    words = value if isinstance(value, list) else [value]
    return any(isinstance(word, str) and word in values for word in words)
