"""From a bearer token to a principal, by the host's own JWT manager, remembering what was verified once."""

from __future__ import annotations

import contextlib
import hashlib
import logging
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

from ..callables import require_done
from ..config import Settings
from ..database.errors import Meaning, meaning
from ..logs import reason_of
from ..problems import InvalidToken, ProvisioningError, StorageUnavailable, TokenExpired
from .principal import Principal
from .strict import wellformed

logger = logging.getLogger(__name__)

#: What callers read whom the host's user lookup does not know, and those whose token another loader could not check.
_STRANGER = "The application knows no user for this token: its operator has to admit partners."
_UNCHECKED = "The application could not check this token."
#: How many kinds of faults of loaders are logged, each once.
_MOST_FAULTS = 100
#: What a loader's database means where it cannot be reached.
_AWAY = (Meaning.UNREACHABLE, Meaning.DISCONNECTED, Meaning.EXHAUSTED)

#: Opens the application context in which Flask-JWT-Extended verifies.
Context = Callable[[], contextlib.AbstractContextManager[Any]]

#: What a bad token raises: nesting beyond reason a `RecursionError`, a ``kid`` that the host's key loader does not know
#: one of the last three.
_REFUSALS = (PyJWTError, JWTExtendedException, RecursionError, LookupError, TypeError, ValueError)
_KEY_SETTINGS = (
    "JWT_ALGORITHM",
    "JWT_DECODE_ALGORITHMS",
    "JWT_DECODE_AUDIENCE",
    "JWT_DECODE_ISSUER",
    "JWT_DECODE_LEEWAY",
    "JWT_IDENTITY_CLAIM",
)


class Verified(NamedTuple):
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


class Tokens:
    """Verifies tokens. What can change while a token lives is asked at every request: its expiry, the host's key,
    its blocklist, its claims check and its user lookup.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float], verifying: Context) -> None:
        self._settings = settings
        self._clock = clock
        self._verifying = verifying
        self._known: dict[bytes, Verified] = {}
        self._adding = threading.Lock()
        self._faults: set[tuple[Any, ...]] = set()

    def principal(self, token: str) -> Principal:
        """Return who sent `token`.

        Raises `InvalidToken` or `TokenExpired`, and for a fault in the host's own loaders what `_ask` does.
        """
        principal, header, claims, user = self._checked(token)
        _tell(header, claims, user)
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
            return verified.principal, _copied(verified.header), _copied(verified.claims)
        except ExpiredSignatureError as error:
            raise TokenExpired from error
        except _REFUSALS as error:
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
            raise InvalidToken(_STRANGER) from UserLookupError("user_lookup returned None", header, claims)
        return {"loaded_user": user}

    def _ask(self, name: str, loader: Callable[..., Any], header: dict[str, Any], claims: dict[str, Any]) -> Any:
        """Return what a loader of the host's returns.

        Passes on an HTTP error and whatever refuses a token. Any other exception of the loader, and an awaitable that
        it returns, refuses the caller: raises `StorageUnavailable` where the loader could not reach something, else
        `InvalidToken`.
        """
        try:
            return require_done(loader(header, claims), f"The {name}")
        except (ProvisioningError, HTTPException, PyJWTError, JWTExtendedException):
            raise
        except Exception as error:
            raise self._fault(name, error) from error

    def _fault(self, name: str, error: Exception) -> ProvisioningError:
        """The refusal of a caller whom a loader of the host's could not check; each kind of fault is logged once."""
        kind = (name, type(error), _place(error))
        if kind not in self._faults and len(self._faults) < _MOST_FAULTS:
            self._faults.add(kind)
            logger.warning(
                "the app's %s fails, and its callers are refused: %s",
                name,
                reason_of(error),
                exc_info=error,
                extra={"loader": name, "error": type(error).__name__},
            )
        if isinstance(error, OSError) or meaning(error) in _AWAY:
            return StorageUnavailable(f"The application's {name} cannot be asked at present.")
        return InvalidToken(_STRANGER if name == "user_lookup_loader" else _UNCHECKED)

    def _verified(self, token: str) -> Verified:
        """What was verified of `token` once, where that still holds, else now."""
        now = self._clock()
        digest = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        known = self._known.get(digest)
        if known is None or now < known.starts or known.trust != _trust(known.header, known.sent):
            known = self._verify(token)
            self._remember(digest, known)
        if now >= known.expires + _seconds(app_ctx.app.config["JWT_DECODE_LEEWAY"]):
            raise TokenExpired
        return known

    def _verify(self, token: str) -> Verified:
        header, sent = wellformed(token)
        trust = _trust(header, sent)  # before the check: a key that changes meanwhile must not pass for the one used
        claims: dict[str, Any] = decode_token(token)
        internal_utils.verify_token_type(claims, refresh=False)
        principal = Principal.of_claims(claims, self._settings)
        starts = max(sent.get("nbf", 0), sent.get("iat", 0))
        return Verified(header, sent, claims, principal, starts, int(sent["exp"]), trust)

    def _remember(self, digest: bytes, verified: Verified) -> None:
        with self._adding:
            self._known.pop(digest, None)
            while self._known and len(self._known) >= self._settings.token_cache_size:
                del self._known[next(iter(self._known))]
            if self._settings.token_cache_size:
                self._known[digest] = verified


def _seconds(leeway: Any) -> float:
    return leeway.total_seconds() if hasattr(leeway, "total_seconds") else float(leeway)


def _trust(header: dict[str, Any], sent: dict[str, Any]) -> tuple[Any, ...]:
    """The key that the host names for this token, and the settings that it is checked by, as they are now."""
    manager: Any = internal_utils.get_jwt_manager()
    config = app_ctx.app.config
    key = manager._decode_key_callback({**header}, {**sent})
    return (manager, key, *[_frozen(config[name]) for name in _KEY_SETTINGS])


def _frozen(value: Any) -> Any:
    """A list as it is now: the host may change the very object that its configuration holds."""
    return tuple(value) if isinstance(value, (list, set)) else value


def _copied(value: Any) -> Any:
    """A copy of some JSON, so that what a host does to its claims ends with the request."""
    if isinstance(value, dict):
        return {name: _copied(member) for name, member in value.items()}
    return [_copied(member) for member in value] if isinstance(value, list) else value


def _place(error: Exception) -> tuple[str, int] | None:
    """The file and line in which `error` was raised."""
    place = None
    for frame, line in traceback.walk_tb(error.__traceback__):
        place = frame.f_code.co_filename, line
    return place


def _tell(header: dict[str, Any], claims: dict[str, Any], user: dict[str, Any] | None) -> None:
    """Let `get_jwt()` and its like work in the rest of the request."""
    g = app_ctx.g
    g._jwt_extended_jwt = claims
    g._jwt_extended_jwt_header = header
    g._jwt_extended_jwt_user = user
    g._jwt_extended_jwt_location = "headers"
