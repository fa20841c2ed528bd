"""From a bearer token to a principal, by the host's own JWT manager, remembering what was verified once."""

from __future__ import annotations

import hashlib
import threading
from typing import Any, NamedTuple

from flask import current_app, g
from flask_jwt_extended import decode_token, internal_utils
from flask_jwt_extended.exceptions import JWTExtendedException, UserLookupError
from jwt import ExpiredSignatureError, PyJWTError

from ..config import Settings
from ..problems import InvalidToken, TokenExpired
from .principal import Principal
from .strict import require_wellformed

_KEY_SETTINGS = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_DECODE_AUDIENCE",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
)


class Verified(NamedTuple):
    """A token whose signature and claims were checked, and under which key and settings that was."""

    header: dict[str, Any]
    claims: dict[str, Any]
    principal: Principal
    expires: float
    trust: tuple[Any, ...]


class Tokens:
    """Verifies tokens. What can change while a token lives is asked at every request: its expiry, the host's key,
    its blocklist, its claims check and its user lookup.
    """

    def __init__(self, settings: Settings, clock: Any) -> None:
        self._settings = settings
        self._clock = clock
        self._known: dict[bytes, Verified] = {}
        self._adding = threading.Lock()

    def principal(self, token: str) -> Principal:
        """Who sent `token`. Raises `InvalidToken` or `TokenExpired`."""
        try:
            return self._admit(token)
        except ExpiredSignatureError as error:
            raise TokenExpired from error
        except (PyJWTError, JWTExtendedException, ValueError, TypeError, OverflowError) as error:
            raise InvalidToken from error

    def _admit(self, token: str) -> Principal:
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is None or known.trust != _trust(known.header, known.claims):
            known = self._verify(token)
            self._remember(digest, known)
        if self._clock() >= known.expires + _seconds(current_app.config["JWT_DECODE_LEEWAY"]):
            raise TokenExpired
        _ask_the_host(known)
        return known.principal

    def _verify(self, token: str) -> Verified:
        require_wellformed(token)
        claims: dict[str, Any] = decode_token(token)
        header = _header(token)
        internal_utils.verify_token_type(claims, refresh=False)
        principal = Principal.of_claims(claims, self._settings)
        return Verified(header, claims, principal, float(claims["exp"]), _trust(header, claims))

    def _remember(self, digest: bytes, verified: Verified) -> None:
        with self._adding:
            while self._known and len(self._known) >= self._settings.token_cache_size:
                del self._known[next(iter(self._known))]
            if self._settings.token_cache_size:
                self._known[digest] = verified


def _header(token: str) -> dict[str, Any]:
    from flask_jwt_extended import get_unverified_jwt_headers

    found: dict[str, Any] = get_unverified_jwt_headers(token)
    return found


def _seconds(leeway: Any) -> float:
    return leeway.total_seconds() if hasattr(leeway, "total_seconds") else float(leeway)


def _trust(header: dict[str, Any], claims: dict[str, Any]) -> tuple[Any, ...]:
    """The key that the host names for this token, and the settings that it is checked by."""
    manager: Any = internal_utils.get_jwt_manager()
    config = current_app.config
    return (manager, manager._decode_key_callback(header, claims), *[config[name] for name in _KEY_SETTINGS])


def _ask_the_host(verified: Verified) -> None:
    """The host's blocklist, claims check and user lookup, in Flask-JWT-Extended's order; then `get_jwt()` works."""
    header, claims = verified.header, verified.claims
    internal_utils.verify_token_not_blocklisted(header, claims)
    internal_utils.custom_verification_for_token(header, claims)
    user = None
    if internal_utils.has_user_lookup():
        user = internal_utils.user_lookup(header, claims)
        if user is None:
            raise UserLookupError("user_lookup returned None", header, claims)
        user = {"loaded_user": user}
    g._jwt_extended_jwt = claims
    g._jwt_extended_jwt_header = header
    g._jwt_extended_jwt_user = user
    g._jwt_extended_jwt_location = "headers"
