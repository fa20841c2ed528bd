"""Bearer tokens: strict parsing, verification by the host's own JWT manager, and a cache of verified tokens.

A token is parsed strictly (RFC 7515, RFC 7519) before its signature is checked: one that a lenient parser could read in
two ways is refused.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable
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

from ..config import Config
from ..database.errors import FailureKind, classify_failure
from ..encoding import format_error
from ..errors import InvalidToken, ProvisioningError, StorageUnavailable, TokenExpired
from ..hooks import require_result
from .principal import Principal

logger = logging.getLogger(__name__)
#: What callers read whom the host's user lookup does not know, and those whose token another loader could not check.
_UNKNOWN_USER = "The application knows no user for this token: its operator has to admit partners."
_LOADER_FAILED = "The application could not check this token."
#: How many kinds of faults of loaders are logged, each once.
_MAX_LOGGED_FAULTS = 100
#: What a loader's database means where it cannot be reached.
_UNREACHABLE = (FailureKind.UNREACHABLE, FailureKind.DISCONNECTED, FailureKind.EXHAUSTED)
#: Opens the application context in which Flask-JWT-Extended verifies.
AppContext = Callable[[], contextlib.AbstractContextManager[Any]]
#: What a bad token raises: nesting beyond reason a `RecursionError`, a ``kid`` that the host's key loader does not know
#: one of the last three.
_INVALID_TOKEN_ERRORS = (PyJWTError, JWTExtendedException, RecursionError, LookupError, TypeError, ValueError)
_KEY_SETTINGS = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_DECODE_AUDIENCE",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
)


class VerifiedToken(NamedTuple):
    """A token whose signature and claims were checked: whom it names, from when till when, and under which trust.

    `sent` are the claims as they stand in the token, `claims` those with what Flask-JWT-Extended adds.
    """

    header: dict[str, Any]
    sent: dict[str, Any]
    claims: dict[str, Any]
    principal: Principal
    starts: float
    expires: float
    trust: tuple[Any, ...]


class TokenVerifier:
    """Verifies tokens. What can change while a token lives is asked at every request: its expiry, the host's key,
    its blocklist, its claims check and its user lookup.
    """

    def __init__(self, settings: Config, clock: Callable[[], float], verifying: AppContext) -> None:
        self._settings = settings
        self._clock = clock
        self._verifying = verifying
        self._known: dict[bytes, VerifiedToken] = {}
        self._adding = threading.Lock()
        self._faults: set[tuple[Any, ...]] = set()

    def principal(self, token: str) -> Principal:
        """Return who sent `token`.

        Raises `InvalidToken` or `TokenExpired`, and for a fault in the host's own loaders what `_ask` does.
        """
        principal, header, claims, user = self._checked(token)
        _set_current_jwt(header, claims, user)
        return principal

    def recheck(self, token: str) -> Principal:
        """Return who sent `token`, checked again after the request. Raises what `principal` does."""
        return self._checked(token)[0]

    def _checked(self, token: str) -> tuple[Principal, dict[str, Any], dict[str, Any], dict[str, Any] | None]:
        with self._verifying():
            principal, header, claims = self._read(token)
            try:
                user = self._ask_the_host(header, claims)
            except (PyJWTError, JWTExtendedException) as error:
                raise InvalidToken from error
        return principal, header, claims, user

    def _read(self, token: str) -> tuple[Principal, dict[str, Any], dict[str, Any]]:
        """Whom a token names, and its header and claims, for the host to do with as it likes."""
        try:
            verified = self._verified(token)
            return verified.principal, _copy_json(verified.header), _copy_json(verified.claims)
        except ExpiredSignatureError as error:
            raise TokenExpired from error
        except _INVALID_TOKEN_ERRORS as error:
            raise InvalidToken from error
        except ProvisioningError:
            raise
        except Exception as error:
            internal_utils.get_jwt_manager()  # where the app has none, that is what is wrong, and this says so
            raise self._fault("decode_key_loader", error) from error

    def _ask_the_host(self, header: dict[str, Any], claims: dict[str, Any]) -> dict[str, Any] | None:
        """Ask the host's blocklist, claims check and user lookup, in Flask-JWT-Extended's order; returns the user.

        None where no user is looked up. The library's defaults refuse nothing and are not called. Raises what
        Flask-JWT-Extended does, and what `_ask` does.
        """
        manager: Any = internal_utils.get_jwt_manager()
        blocks, verifies = manager._token_in_blocklist_callback, manager._token_verification_callback
        if blocks is not default_blocklist_callback and self._ask("token_in_blocklist_loader", blocks, header, claims):
            raise RevokedTokenError(header, claims)
        if verifies is not default_token_verification_callback and not self._ask(
            "token_verification_loader", verifies, header, claims
        ):
            raise UserClaimsVerificationError("User claims verification failed", header, claims)
        lookup = manager._user_lookup_callback
        if lookup is None:
            return None
        user = self._ask("user_lookup_loader", lookup, header, claims)
        if user is None:
            raise InvalidToken(_UNKNOWN_USER) from UserLookupError("user_lookup returned None", header, claims)
        return {"loaded_user": user}

    def _ask(self, name: str, loader: Callable[..., Any], header: dict[str, Any], claims: dict[str, Any]) -> Any:
        """Return what a loader of the host's returns.

        Passes on an HTTP error and whatever refuses a token. Any other exception of the loader, and an awaitable that
        it returns, refuses the caller: raises `StorageUnavailable` where the loader could not reach something, else
        `InvalidToken`.
        """
        try:
            return require_result(loader(header, claims), f"The {name}")
        except (ProvisioningError, HTTPException, PyJWTError, JWTExtendedException):
            raise
        except Exception as error:
            raise self._fault(name, error) from error

    def _fault(self, name: str, error: Exception) -> ProvisioningError:
        """The refusal of a caller whom a loader of the host's could not check; each kind of fault is logged once."""
        kind = (name, type(error), _locate_error(error))
        if kind not in self._faults and len(self._faults) < _MAX_LOGGED_FAULTS:
            self._faults.add(kind)
            logger.warning(
                "the app's %s fails, and its callers are refused: %s",
                name,
                format_error(error),
                exc_info=error,
                extra={"loader": name, "error": type(error).__name__},
            )
        if isinstance(error, OSError) or classify_failure(error) in _UNREACHABLE:
            return StorageUnavailable(f"The application's {name} cannot be asked at present.")
        return InvalidToken(_UNKNOWN_USER if name == "user_lookup_loader" else _LOADER_FAILED)

    def _verified(self, token: str) -> VerifiedToken:
        """What was verified of `token` once, where that still holds, else now."""
        now = self._clock()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is None or now < known.starts or known.trust != _get_trust(known.header, known.sent):
            known = self._verify(token)
            self._remember(digest, known)
        if now >= known.expires + _get_leeway_seconds(app_ctx.app.config["JWT_DECODE_LEEWAY"]):
            raise TokenExpired
        return known

    def _verify(self, token: str) -> VerifiedToken:
        header, sent = parse_token(token)
        trust = _get_trust(
            header, sent
        )  # before the check: a key that changes meanwhile must not pass for the one used
        claims: dict[str, Any] = decode_token(token)
        internal_utils.verify_token_type(claims, refresh=False)
        principal = Principal.from_claims(claims, self._settings)
        starts = max(sent.get("nbf", 0), sent.get("iat", 0))
        return VerifiedToken(header, sent, claims, principal, starts, int(sent["exp"]), trust)

    def _remember(self, digest: bytes, verified: VerifiedToken) -> None:
        with self._adding:
            self._known.pop(digest, None)
            while self._known and len(self._known) >= self._settings.token_cache_size:
                del self._known[next(iter(self._known))]
            if self._settings.token_cache_size:
                self._known[digest] = verified


def _get_leeway_seconds(leeway: Any) -> float:
    return leeway.total_seconds() if hasattr(leeway, "total_seconds") else float(leeway)


def _get_trust(header: dict[str, Any], sent: dict[str, Any]) -> tuple[Any, ...]:
    """The key that the host names for this token, and the settings that it is checked by, as they are now."""
    manager: Any = internal_utils.get_jwt_manager()
    config = app_ctx.app.config
    key = manager._decode_key_callback({**header}, {**sent})
    return (manager, key, *[_freeze(config[name]) for name in _KEY_SETTINGS])


def _freeze(value: Any) -> Any:
    """A list as it is now: the host may change the very object that its configuration holds."""
    return tuple(value) if isinstance(value, (list, set)) else value


def _copy_json(value: Any) -> Any:
    """A copy of some JSON, so that what a host does to its claims ends with the request."""
    if isinstance(value, dict):
        return {name: _copy_json(member) for name, member in value.items()}
    return [_copy_json(member) for member in value] if isinstance(value, list) else value


def _locate_error(error: Exception) -> tuple[str, int] | None:
    """The file and line in which `error` was raised."""
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = frame.f_code.co_filename, line
    return place


def _set_current_jwt(header: dict[str, Any], claims: dict[str, Any], user: dict[str, Any] | None) -> None:
    """Let `get_jwt()` and its like work in the rest of the request."""
    g = app_ctx.g
    g._jwt_extended_jwt = claims
    g._jwt_extended_jwt_header = header
    g._jwt_extended_jwt_user = user
    g._jwt_extended_jwt_location = "headers"


MAX_TOKEN_LENGTH = 8192
_TOKEN_TYPES = {"JWT", "AT+JWT", "APPLICATION/AT+JWT"}
_BASE64URL_PATTERN = re.compile(r"[A-Za-z0-9_-]+")


def parse_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The header and claims of `token`, before anybody vouches for them.

    Raises `InvalidToken` for a token that a lenient parser could read in two ways, or that never expires.
    """
    if len(token) > MAX_TOKEN_LENGTH:
        raise InvalidToken("The token is too long.")
    parts = token.split(".")
    if len(parts) != 3:
        raise InvalidToken("The token is not a signed JWT.")
    header, claims, _ = [_decode_base64url(part) for part in parts]
    found = _parse_json_object(header), _parse_json_object(claims)
    _check_header(found[0])
    _check_claims(found[1])
    return found


def _decode_base64url(part: str) -> bytes:
    """Decode base64url, refusing padding and trailing bits: each token has one spelling."""
    if not _BASE64URL_PATTERN.fullmatch(part):
        raise InvalidToken("The token is not canonical base64url.")
    try:
        found = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error:
        found = b""
    if base64.urlsafe_b64encode(found).rstrip(b"=").decode() != part:
        raise InvalidToken("The token is not canonical base64url.")
    return found


def _parse_json_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data.decode(), object_pairs_hook=_reject_duplicate_keys, parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidToken("The token holds malformed JSON.")
    return found


def _reject_duplicate_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _reject_constant(constant: str) -> None:
    raise ValueError(constant)


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
    """Whether this is a NumericDate (RFC 7519 §2) in seconds: milliseconds would make a token live for ages."""
    return type(value) in (int, float) and 0 <= value < 1e12
