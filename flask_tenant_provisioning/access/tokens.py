"""Bearer tokens: strict parsing, verification by the host's own JWT manager, and a cache of verified tokens.

A token is parsed strictly (RFC 7515, RFC 7519) before its signature is verified: a token that a lenient parser could
read in two ways is refused.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import traceback
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from flask.globals import app_ctx
from flask_jwt_extended import decode_token, internal_utils
from flask_jwt_extended.default_callbacks import default_blocklist_callback, default_token_verification_callback
from flask_jwt_extended.exceptions import (
    JWTExtendedException,
    RevokedTokenError,
    UserClaimsVerificationError,
    UserLookupError,
)
from jwt import ExpiredSignatureError, PyJWTError
from werkzeug.exceptions import HTTPException

from ..cache import TTLCache
from ..config import Config
from ..encoding import decode_base64url, format_error, parse_json_object
from ..errors import InvalidToken, ProvisioningError, StorageUnavailable, TokenExpired
from ..hooks import require_result
from .authority import Authority, enter_app_context
from .client_tokens import ClientTokens
from .issuers import Issuer
from .principal import Principal

logger = logging.getLogger(__name__)
#: The details of a token that the host's user lookup does not know, and of one that another loader could not check.
_UNKNOWN_USER = "The application knows no user for this token: its operator has to admit partners."
_LOADER_FAILED = "The application could not check this token."
#: The number of different loader failures that are logged, each once.
_MAX_LOGGED_FAILURES = 100
#: The exceptions that an invalid token raises; a ``kid`` that the host's key loader does not know one of the last
#: three.
_INVALID_TOKEN_ERRORS = (PyJWTError, JWTExtendedException, LookupError, TypeError, ValueError)
_KEY_SETTINGS = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_DECODE_AUDIENCE",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
)


class VerifiedToken(NamedTuple):
    """A verified token: its principal, its validity in seconds since 1970, and the key and configuration that verified
    it.

    `raw_claims` are the claims as in the token, `claims` those with Flask-JWT-Extended's additions. `contents` is the
    JSON of the header and `claims`: each request gets its own copy, so that changes by the host end with it. `issuer`
    is the identity provider that issued it, or the mount's own `ClientTokens`; None for a token of the host's own.
    """

    header: dict[str, Any]
    raw_claims: dict[str, Any]
    contents: str
    principal: Principal
    starts: float
    expires: float
    trust: tuple[Any, ...]
    issuer: Issuer | ClientTokens | None


class TokenVerifier:
    """Verifies tokens with the JWT configuration of `app` or the keys of their issuer, and caches their signatures'
    verification.

    Everything that can change during a token's life is checked at each request: its expiry, its key, and the host's
    blocklist, claims check and user lookup. The user lookup is not called for the tokens of identity providers, whose
    subjects are not the host's users, and none of the three for those that the mount itself issued to API clients.
    """

    def __init__(
        self,
        config: Config,
        clock: Callable[[], float],
        authority: Authority,
        client_tokens: ClientTokens | None = None,
    ) -> None:
        self._config = config
        self._client_tokens = client_tokens
        self._clock = clock
        self._authority = authority
        self._app = authority.app
        self._issuers = {name: Issuer(name, issuer, config, clock) for name, issuer in config.issuers.items()}
        self._cache: TTLCache[bytes, VerifiedToken] = TTLCache(clock, math.inf, config.token_cache_size)
        self._logged_failures: set[tuple[Any, ...]] = set()

    def verify(self, token: str) -> Principal:
        """Return the principal of the request's `token`.

        Raises `InvalidToken` or `TokenExpired`, and the errors of `_call_loader` if one of the host's loaders fails.
        """
        if app_ctx.app is self._app:
            principal, header, claims, user = self._verify_with_loaders(token)
        else:  # a view of the host beside an isolated mount
            with self._app.app_context():
                principal, header, claims, user = self._verify_with_loaders(token)
        g = app_ctx.g  # where `get_jwt()` and similar functions look in the rest of the request
        g._jwt_extended_jwt = claims
        g._jwt_extended_jwt_header = header
        g._jwt_extended_jwt_user = user
        g._jwt_extended_jwt_location = "headers"
        return principal

    def recheck(self, token: str) -> Principal:
        """Return the principal of `token`, verified again after the request has ended. Raises as `verify` does."""
        with enter_app_context(self._app):
            return self._verify_with_loaders(token)[0]

    def _verify_with_loaders(
        self, token: str
    ) -> tuple[Principal, dict[str, Any], dict[str, Any], dict[str, Any] | None]:
        """Return the principal of a token, copies of its header and claims that the host may change, and the user.

        Runs in the application context of `app`. Raises as `verify` does.
        """
        try:
            verified = self._load_verified(token)
        except ExpiredSignatureError as error:
            raise TokenExpired from error
        except _INVALID_TOKEN_ERRORS as error:
            raise InvalidToken from error
        except ProvisioningError:
            raise
        except Exception as error:
            internal_utils.get_jwt_manager()  # raises an error that says so if the app has no manager
            raise self._make_loader_error("decode_key_loader", error) from error
        header, claims = json.loads(verified.contents)
        try:
            user = self._call_loaders(header, claims, verified.issuer)
        except (PyJWTError, JWTExtendedException) as error:
            raise InvalidToken from error
        return verified.principal, header, claims, user

    def _call_loaders(
        self, header: dict[str, Any], claims: dict[str, Any], issuer: Issuer | ClientTokens | None
    ) -> dict[str, Any] | None:
        """Call the host's blocklist, claims check and user lookup, in Flask-JWT-Extended's order; return the user.

        Returns None if there is no user lookup, and for the token of an API client, of which the host's functions know
        nothing. The library's default callbacks refuse nothing and are not called. Raises Flask-JWT-Extended's
        exceptions and the errors of `_call_loader`.
        """
        if issuer is not None and issuer is self._client_tokens:
            return None
        manager: Any = internal_utils.get_jwt_manager()
        blocklist, claims_check = manager._token_in_blocklist_callback, manager._token_verification_callback
        if blocklist is not default_blocklist_callback and self._call_loader(
            "token_in_blocklist_loader", blocklist, header, claims
        ):
            raise RevokedTokenError(header, claims)
        if claims_check is not default_token_verification_callback and not self._call_loader(
            "token_verification_loader", claims_check, header, claims
        ):
            raise UserClaimsVerificationError("User claims verification failed", header, claims)
        lookup = manager._user_lookup_callback
        if lookup is None or issuer is not None:
            return None
        user = self._call_loader("user_lookup_loader", lookup, header, claims)
        if user is None:
            raise InvalidToken(_UNKNOWN_USER) from UserLookupError("user_lookup returned None", header, claims)
        return {"loaded_user": user}

    def _call_loader(
        self, name: str, loader: Callable[..., Any], header: dict[str, Any], claims: dict[str, Any]
    ) -> Any:
        """Call one of the host's loaders and return its result.

        HTTP errors and exceptions that refuse a token are passed on. For any other exception, and for an awaitable as
        the result, raises `StorageUnavailable` if the loader could not reach something, else `InvalidToken`.
        """
        try:
            return require_result(loader(header, claims), f"The {name}")
        except (ProvisioningError, HTTPException, PyJWTError, JWTExtendedException):
            raise
        except Exception as error:
            raise self._make_loader_error(name, error) from error

    def _make_loader_error(self, name: str, error: Exception) -> ProvisioningError:
        """Return the error for a caller whom a loader could not check. Each different failure is logged once."""
        kind = (name, type(error), _locate_error(error))
        if kind not in self._logged_failures and len(self._logged_failures) < _MAX_LOGGED_FAILURES:
            self._logged_failures.add(kind)
            logger.warning(
                "the app's %s failed, and the caller is refused: %s",
                name,
                format_error(error),
                exc_info=error,
                extra={"loader": name, "error": type(error).__name__},
            )
        if isinstance(error, OSError) or _is_database_unreachable(error):
            return StorageUnavailable(f"The application's {name} is currently unavailable.")
        return InvalidToken(_UNKNOWN_USER if name == "user_lookup_loader" else _LOADER_FAILED)

    def _load_verified(self, token: str) -> VerifiedToken:
        """Return the verified token from the cache if it is still trusted, else verify it. Raises `TokenExpired`."""
        now = self._clock()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        verified = self._cache.get(digest)
        if verified is not None:
            issuer = verified.issuer
            trust = (
                _get_trust(verified.header, verified.raw_claims)
                if issuer is None
                else issuer.get_trust(verified.header)
            )
            if now < verified.starts or verified.trust != trust:
                verified = None
        if verified is None:
            verified = self._cache.load(digest, partial(self._decode, token))
        if now >= verified.expires:
            raise TokenExpired
        return verified

    def _decode(self, token: str) -> VerifiedToken:
        header, raw_claims = parse_token(token)
        issuer = self._find_issuer(header, raw_claims)
        if issuer is None and self._issuers and not self._authority.has_key():
            raise InvalidToken("The token is of an unknown issuer.")
        # Read before the verification: a key that changes during it must not be recorded as the one used.
        trust = _get_trust(header, raw_claims) if issuer is None else issuer.get_trust(header)
        if issuer is None:
            claims: dict[str, Any] = decode_token(token)
            internal_utils.verify_token_type(claims, refresh=False)
            principal = Principal.from_claims(claims, self._config)
            leeway = app_ctx.app.config["JWT_DECODE_LEEWAY"]
            seconds = leeway.total_seconds() if isinstance(leeway, timedelta) else float(leeway)
        else:
            # The host's loaders expect these claims, which Flask-JWT-Extended adds to tokens without them.
            claims = {"jti": None, "type": "access", "fresh": False, **issuer.verify(token, header)}
            principal = issuer.read_principal(claims)
            seconds = float(issuer.leeway)
        starts = max(raw_claims.get("nbf", 0), raw_claims.get("iat", 0))
        expires, contents = int(raw_claims["exp"]) + seconds, json.dumps((header, claims))
        return VerifiedToken(header, raw_claims, contents, principal, starts, expires, trust, issuer)

    def _find_issuer(self, header: dict[str, Any], raw_claims: dict[str, Any]) -> Issuer | ClientTokens | None:
        """Return what verifies a token: the mount's own key, the identity provider, or None for the host's key."""
        if self._client_tokens is not None and self._client_tokens.has_signed(header):
            return self._client_tokens
        name = raw_claims.get("iss")
        return self._issuers.get(name) if isinstance(name, str) else None


def _get_trust(header: dict[str, Any], raw_claims: dict[str, Any]) -> tuple[Any, ...]:
    """Return the host's current key for this token and the configuration that affects its verification.

    Lists and sets in the configuration are copied: the host may change them.
    """
    manager: Any = internal_utils.get_jwt_manager()
    config = app_ctx.app.config
    key = manager._decode_key_callback({**header}, {**raw_claims})
    values = (config[name] for name in _KEY_SETTINGS)
    return (manager, key, *[tuple(value) if isinstance(value, (list, set)) else value for value in values])


def _is_database_unreachable(error: Exception) -> bool:
    """Return whether a loader failed because its database cannot be reached."""
    from ..database.errors import FailureKind, classify_failure

    return classify_failure(error) in (FailureKind.UNREACHABLE, FailureKind.DISCONNECTED, FailureKind.EXHAUSTED)


def _locate_error(error: Exception) -> tuple[str, int] | None:
    """Return the file and line in which `error` was raised."""
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = frame.f_code.co_filename, line
    return place


MAX_TOKEN_LENGTH = 8192
_TOKEN_TYPES = {"JWT", "AT+JWT", "APPLICATION/AT+JWT"}


def parse_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the claims of `token`, without verifying its signature.

    Raises `InvalidToken` for a token that a lenient parser could read in two ways, or that never expires.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken("The token is not a signed JWT.")
    header, claims, _ = [_decode_base64url(part) for part in parts]
    parsed = _parse_json_object(header), _parse_json_object(claims)
    _check_header(parsed[0])
    _check_claims(parsed[1])
    return parsed


def _decode_base64url(part: str) -> bytes:
    try:
        if part:
            return decode_base64url(part)
    except ValueError:
        pass
    raise InvalidToken("The token is not canonical base64url.")


def _parse_json_object(data: bytes) -> dict[str, Any]:
    try:
        return parse_json_object(data)
    except ValueError:
        raise InvalidToken("The token holds malformed JSON.") from None


def _check_header(header: dict[str, Any]) -> None:
    kind = header.get("typ", "JWT")
    if "crit" in header or not isinstance(kind, str) or kind.upper() not in _TOKEN_TYPES:
        raise InvalidToken("The token is of another kind.")


def _check_claims(claims: dict[str, Any]) -> None:
    if not _is_time(claims.get("exp")) or not claims["exp"] > 0:
        raise InvalidToken("The token must carry exp, as a number of seconds.")
    if not all(_is_time(claims.get(name, 0)) for name in ("nbf", "iat")):
        raise InvalidToken("The token must carry nbf and iat as numbers of seconds, if at all.")
    if not isinstance(claims.get("sub"), str):
        raise InvalidToken("The token must carry sub, as a text.")


def _is_time(value: Any) -> bool:
    """Return whether this is a NumericDate (RFC 7519 §2) in seconds; milliseconds would let a token live for ages."""
    return type(value) in (int, float) and 0 <= value < 1e12
