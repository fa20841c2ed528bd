"""Checks of JWT: the manager, algorithms and key that verify tokens, and the tokens that the app itself signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import current_app
from flask_jwt_extended import create_access_token
from flask_jwt_extended.config import config
from flask_jwt_extended.default_callbacks import default_decode_key_callback, default_encode_key_callback
from jwt.algorithms import get_default_algorithms, requires_cryptography

from ...access.authority import find_jwt_manager
from ...errors import ProvisioningError
from ...hooks import require_result
from ..token import make_key_advice, verify_own_token
from .context import FAIL, ISOLATE_ADVICE, OK, WARN, DoctorContext, Finding, get_qualified_name

_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA_BITS = 2048
_GENERATE_ADVICE = "python -c 'import secrets; print(secrets.token_hex(32))' makes one"


def check_jwt_manager(context: DoctorContext) -> Finding:
    """The app has a JWT manager, or needs none, or will get one when the API is mounted."""
    found = context.authority.manager
    if context.authority.host is None:
        return Finding(OK, "PROVISIONING_JWT_* count, and neither JWT_* nor the app's JWTManager")
    if found is not None:
        return Finding(OK, f"{type(found).__module__}.{type(found).__name__}")
    if context.isolated:
        return Finding(OK, "no JWTManager; the isolated mount reads JWT_* itself")
    if context.is_served:
        return Finding(FAIL, "the app has no JWTManager", "call JWTManager(app)")
    return Finding(OK, "no JWTManager; the extension makes one when it mounts the API")


def check_user_lookup(context: DoctorContext) -> Finding:
    """No user lookup turns away partners, of whom the host knows nothing: it is asked for a subject that a token has.

    That subject is one that nobody has, unless `--subject` names a partner's.
    """
    found = context.authority.manager
    if found is None or found._user_lookup_callback is None:
        return Finding(OK, "no user_lookup_loader")
    lookup = get_qualified_name(found._user_lookup_callback)
    if context.isolated:
        return Finding(OK, f"{lookup} is not asked by the isolated mount")
    claims = {**context.claims(), "sub": context.subject, "jti": "doctor", "type": "access", "fresh": False}
    try:
        with context.request(), context.authority.verification_context():
            user = require_result(found._user_lookup_callback({"typ": "JWT"}, claims), "it")
        outcome = None if user is not None else "knows no user"
    except Exception as error:
        outcome = f"fails ({type(error).__name__})"
    if outcome is None:
        return Finding(OK, f"{lookup} finds a user for the sub {context.subject!r}")
    advice = f"{ISOLATE_ADVICE}, or let it know the partners' sub too and name one with --subject"
    return Finding(FAIL, f"{lookup} is asked for every caller, and {outcome} for the sub {context.subject!r}", advice)


def check_algorithms(context: DoctorContext) -> Finding:
    """The algorithms exist, sign something, and are of one kind (RFC 8725 §3.1)."""
    names = list_algorithms(context)
    shown = ", ".join(names)
    if unknown := [name for name in names if name not in get_default_algorithms()]:
        one, many = map(context.authority.config_name, ("JWT_ALGORITHM", "JWT_DECODE_ALGORITHMS"))
        return Finding(FAIL, f"there is no {', '.join(unknown)}", f"correct {one} and {many}")
    if "none" in names:
        advice = f"take none out of {context.authority.config_name('JWT_DECODE_ALGORITHMS')}"
        return Finding(FAIL, f"{shown}: none accepts what nobody signed", advice)
    if len({name in requires_cryptography for name in names}) > 1:
        return Finding(FAIL, f"{shown}: shared secrets and public keys are mixed", "name one kind alone")
    return Finding(OK, shown)


def check_key(context: DoctorContext) -> Finding:
    """There is a key, of the kind and strength that its algorithm wants (RFC 7518 §3)."""
    found = context.authority.manager
    if (
        context.authority.host is not None
        and found is not None
        and found._decode_key_callback is not default_decode_key_callback
    ):
        return Finding(OK, "the host's decode_key_loader names one for each token")
    name, key = get_verification_key(context)
    if not key:
        return Finding(FAIL, f"{name} is not set", "nothing can verify tokens without it")
    return _check_key_strength(name, key, list_algorithms(context)[0])


def list_algorithms(context: DoctorContext) -> list[str]:
    """The algorithms that are accepted; the one that signs comes first."""
    config = context.authority.app.config
    signs = config.get("JWT_ALGORITHM", "HS256")
    return [signs, *(name for name in config.get("JWT_DECODE_ALGORITHMS") or () if name != signs)]


def get_verification_key(context: DoctorContext) -> tuple[str, Any]:
    """The setting that holds the key which verifies, and the key."""
    config, setting = context.authority.app.config, context.authority.config_name
    if list_algorithms(context)[0] in requires_cryptography:
        return setting("JWT_PUBLIC_KEY"), config.get("JWT_PUBLIC_KEY")
    if config.get("JWT_SECRET_KEY") or context.authority.host is None or context.authority.manager is None:
        return setting("JWT_SECRET_KEY"), config.get("JWT_SECRET_KEY")
    return "SECRET_KEY", config.get("SECRET_KEY")


def _check_key_strength(name: str, key: Any, algorithm: str) -> Finding:
    prepared = get_default_algorithms()[algorithm].prepare_key(key)
    if algorithm in _HMAC_BYTES:
        needed = _HMAC_BYTES[algorithm]
        if len(prepared) < needed:
            return Finding(FAIL, f"{name} has {len(prepared)} bytes, {algorithm} wants {needed}", _GENERATE_ADVICE)
        return Finding(OK, f"{name}, {len(prepared)} bytes")
    bits = getattr(prepared, "key_size", None)
    if bits is not None and algorithm.startswith(("RS", "PS")) and bits < _RSA_BITS:
        return Finding(FAIL, f"{name} has {bits} bits, {algorithm} wants {_RSA_BITS}", "make a new key pair")
    if hasattr(prepared, "private_bytes"):
        return Finding(WARN, f"{name} holds a private key", "put the public one there")
    return Finding(OK, f"{name}, {bits} bits" if bits else name)


_SIGNS_NONE = "this app signs no tokens"
_LONG_LIFETIME = timedelta(days=1)


def check_expiry(context: DoctorContext) -> Finding:
    """What is issued expires, and soon."""
    if not _can_sign(context):
        return Finding(OK, _SIGNS_NONE)
    with context.authority.signing_context():
        lifetime = config.access_expires
    if lifetime is False:
        detail = "JWT_ACCESS_TOKEN_EXPIRES is False, and the API refuses tokens that never expire"
        return Finding(FAIL, detail, "set it to a timedelta")
    if datetime.now(UTC) + lifetime > datetime.now(UTC) + _LONG_LIFETIME:
        return Finding(
            WARN, f"tokens live {lifetime}", "a stolen one is good for as long: shorten JWT_ACCESS_TOKEN_EXPIRES"
        )
    return Finding(OK, f"tokens live {lifetime}")


def check_probe(context: DoctorContext) -> Finding:
    """A token that the app signs now is one that the API takes; the host's blocklist and users are not asked."""
    if not _can_sign(context):
        return Finding(OK, _SIGNS_NONE)
    try:
        token = sign_probe(context)
    except Exception as error:
        advice = "the host's loaders take no text as identity, or the key does not sign"
        return Finding(WARN, f"no probe could be signed: {context.reason(error)}", advice)
    try:
        found = verify_own_token(context.mount, token)
    except ProvisioningError as problem:
        return Finding(FAIL, f"the API refuses what this app signs: {problem.detail}")
    except Exception as error:
        detail = f"the API refuses what this app signs: {context.reason(error)}"
        return Finding(FAIL, detail, make_key_advice(context.mount))
    return Finding(OK, f"a probe was signed and read: {len(found.permissions)} permissions")


def sign_probe(context: DoctorContext) -> str:
    """A token of a partner's, as the app signs it. Raises what Flask-JWT-Extended and the host's loaders do."""
    with context.authority.signing_context():
        return str(create_access_token(context.subject, additional_claims=context.claims()))


def _can_sign(context: DoctorContext) -> bool:
    with context.authority.signing_context():
        manager = find_jwt_manager(current_app)
        if manager is None:
            return False
        custom = manager._encode_key_callback is not default_encode_key_callback
        return custom or not config.is_asymmetric or bool(current_app.config.get("JWT_PRIVATE_KEY"))
