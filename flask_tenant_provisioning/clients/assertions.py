"""The assertions by which API clients authenticate with a key of their own (`private_key_jwt`, RFC 7523).

An assertion is a JWT that the client signs. It names the client in `iss` and `sub`, this API in `aud`, and has an `exp`
of an hour at most and a `jti`, by which it is accepted once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Collection, Iterator
from functools import partial
from typing import Any, NamedTuple

import jwt
from jwt import PyJWTError

from ..access.key_sets import KeySet, PublicKey, PublicKeys, parse_public_keys
from ..access.tokens import parse_token
from ..cache import TTLCache
from ..config_checks import ISSUER_ALGORITHMS
from ..database.ids import format_instant
from ..database.session import Session
from ..encoding import parse_json_object
from ..errors import StorageUnavailable
from ..mount import Mount
from ..web.long_requests import LongRequestLimits
from ..webhooks.client.sender import SendError
from .keys import is_usable_key
from .models import Client
from .statements import AssertionSQL

#: The type of such an assertion (RFC 7523 §2.2), and the algorithms that may sign it.
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ISSUER_ALGORITHMS
#: How long an assertion may be valid, and the accepted difference between its clock and ours, in seconds.
MAX_LIFETIME_SECONDS, LEEWAY_SECONDS = 3600, 60
#: The largest key set that is fetched, in bytes, and for how many clients fetched keys are cached.
_MAX_KEY_SET_BYTES, _MAX_KEY_SETS = 64 * 1024, 1000
_ACCEPT = {"Accept": "application/jwk-set+json, application/json"}


class AssertionRefused(Exception):
    """The assertion does not authenticate its client. The message is for the log."""


class Assertion(NamedTuple):
    """An assertion that is not verified yet: the token, its header and its claims."""

    token: str
    header: dict[str, Any]
    claims: dict[str, Any]

    @property
    def client_id(self) -> str:
        """The client that it names."""
        return str(self.claims["sub"])


def read_assertion(token: str) -> Assertion:
    """Parse an assertion. Raises `InvalidToken` for one that is not a JWT, never expires or names no client."""
    return Assertion(token, *parse_token(token))


class ClientKeys:
    """The public keys of the clients of one mount: those that they registered, and those that they publish.

    `mount.once(ClientKeys)` is a mount's.
    """

    def __init__(self, mount: Mount) -> None:
        self._fetch_url, self._clock = mount.fetch_url, mount.storage.clock
        self._slots = mount.once(LongRequestLimits).slots
        self._key_sets: TTLCache[tuple[str, str], KeySet] = TTLCache(self._clock, math.inf, _MAX_KEY_SETS)

    def find(self, client: Client, kid: Any) -> PublicKey | None:
        """Return the client's key of this id, or None.

        Published keys are fetched if that is due; until then the request occupies one of the partner's slots. Raises
        `TooManyLongRequests` and `ServerBusy` if none is free, and `StorageUnavailable` if the keys are unknown.
        """
        if client.jwks is not None:
            keys = parse_public_keys(json.loads(client.jwks))
            return keys.get(kid) if isinstance(kid, str | None) else None
        if client.jwks_url is None:
            return None
        key_set = self._get_key_set(client.client_id, client.jwks_url)
        with self._hold_slot(client.partner_id) if key_set.needs_fetch(kid) else contextlib.nullcontext():
            key = key_set.find(kid)
        if key is None and key_set.has_failed:
            raise StorageUnavailable("The client's keys are currently unavailable.")
        return key if key is not None and is_usable_key(json.loads(key.text)) else None

    def _get_key_set(self, client_id: str, url: str) -> KeySet:
        def make() -> KeySet:
            return KeySet(f"the client {client_id}", partial(self._fetch, url), self._clock)

        return self._key_sets.get((client_id, url)) or self._key_sets.load((client_id, url), make)

    def _fetch(self, url: str) -> PublicKeys:
        """Fetch the keys. Raises `OSError` if that fails, and `ValueError` if there is no key set."""
        try:
            content = self._fetch_url(url, _ACCEPT, _MAX_KEY_SET_BYTES)
        except SendError as error:
            raise OSError(error.reason) from error
        return parse_public_keys(parse_json_object(content))

    @contextlib.contextmanager
    def _hold_slot(self, partner: str) -> Iterator[None]:
        slot = self._slots.acquire(partner)
        try:
            yield
        finally:
            slot.release()


def verify_assertion(assertion: Assertion, key: PublicKey | None, audiences: Collection[str], now: float) -> None:
    """Verify an assertion by the key that its header names, at the time `now`; `audiences` are our own names.

    Raises `AssertionRefused`.
    """
    header, claims = assertion.header, assertion.claims
    if key is None:
        raise AssertionRefused("unknown key")
    if header.get("alg") not in ALGORITHMS or key.algorithm not in (None, header["alg"]):
        raise AssertionRefused("wrong algorithm")
    try:
        jwt.decode(
            assertion.token,
            key.key,
            algorithms=[*ALGORITHMS],
            audience=[*audiences],
            issuer=assertion.client_id,
            options={
                "require": ["iss", "sub", "aud", "exp", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (PyJWTError, TypeError, ValueError, AttributeError) as error:  # a key of another kind than the algorithm's
        raise AssertionRefused(f"not verified: {type(error).__name__}") from error
    if not claims["exp"] > now - LEEWAY_SECONDS:
        raise AssertionRefused("expired")
    if claims["exp"] > now + MAX_LIFETIME_SECONDS + LEEWAY_SECONDS:
        raise AssertionRefused("valid for too long")
    if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY_SECONDS:
        raise AssertionRefused("not valid yet")
    if not isinstance(claims["jti"], str) or not claims["jti"]:
        raise AssertionRefused("without jti")


def record_assertion(session: Session, client: Client, assertion: Assertion) -> bool:
    """Record that the client has used a verified assertion. Return False if it had used it before.

    The row stays longer than the assertion is accepted, since the clock of another machine may sweep it.
    """
    values = {
        **client.key,
        "jti_hash": hashlib.sha256(assertion.claims["jti"].encode("utf-8", "replace")).hexdigest(),
        "expires_at": format_instant(assertion.claims["exp"] + 2 * LEEWAY_SECONDS),
    }
    inserted: int = session.run(session.storage.once(AssertionSQL).insert, values).rowcount
    return inserted == 1
