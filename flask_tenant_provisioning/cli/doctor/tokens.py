"""Checks of JWT: the manager, algorithms and key that verify tokens, and the tokens that the app itself signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import current_app
from flask_jwt_extended import create_access_token
from flask_jwt_extended.config import config
from flask_jwt_extended.default_callbacks import default_decode_key_callback, default_encode_key_callback
from jwt.algorithms import get_default_algorithms, requires_cryptography

from ...access.authority import QuietManager, find_jwt_manager
from ...access.key_sets import fetch_public_keys
from ...errors import ProvisioningError
from ...hooks import require_result
from ..token import make_key_advice, verify_own_token
from .context import FAIL, ISOLATE_ADVICE, OK, WARN, DoctorContext, Finding, get_qualified_name

_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA_BITS = 2048
_GENERATE_ADVICE = "create one with python -c 'import secrets; print(secrets.token_hex(32))'"


def check_jwt_manager(context: DoctorContext) -> Finding:
    """Check that the app has a JWT manager, needs none, or gets one when the API is mounted."""
    manager = context.authority.manager
    if context.authority.host is None:
        return Finding(OK, "PROVISIONING_JWT_* apply; JWT_* and the app's JWTManager are not used")
    if isinstance(manager, QuietManager):
        return Finding(OK, "the extension's own JWTManager, since the app has none")
    if manager is not None:
        return Finding(OK, "the app's JWTManager")
    if context.is_isolated:
        return Finding(OK, "the app has no JWTManager; the isolated mount reads JWT_* itself")
    if context.is_served:
        return Finding(FAIL, "the app has no JWTManager", "call JWTManager(app)")
    return Finding(OK, "the app has no JWTManager; the extension creates one when it mounts the API")


def check_user_lookup(context: DoctorContext) -> Finding:
    """Check that the host's user lookup finds a user for partners' tokens.

    It is called with the subject of --subject, by default one that does not exist in the host.
    """
    manager = context.authority.manager
    if manager is None or manager._user_lookup_callback is None:
        return Finding(OK, "no user_lookup_loader")
    lookup = get_qualified_name(manager._user_lookup_callback)
    if context.is_isolated:
        return Finding(OK, f"{lookup} is not called by the isolated mount")
    claims = {**context.make_claims(), "sub": context.subject, "jti": "doctor", "type": "access", "fresh": False}
    try:
        with context.open_request(), context.authority.verification_context():
            user = require_result(manager._user_lookup_callback({"typ": "JWT"}, claims), "it")
        outcome = None if user is not None else "finds no user"
    except Exception as error:
        outcome = f"fails ({type(error).__name__})"
    if outcome is None:
        return Finding(OK, f"{lookup} finds a user for the sub {context.subject!r}")
    advice = f"{ISOLATE_ADVICE}, or let it accept the `sub` of partners and give one with --subject"
    return Finding(FAIL, f"{lookup} is called for every token, and {outcome} for the sub {context.subject!r}", advice)


def check_algorithms(context: DoctorContext) -> Finding:
    """Check that the algorithms exist, do sign, and are all symmetric or all asymmetric (RFC 8725 §3.1)."""
    names = list_algorithms(context)
    detail = ", ".join(names)
    unknown = [name for name in names if name not in get_default_algorithms()]
    if unknown:
        keys = map(context.authority.config_name, ("JWT_ALGORITHM", "JWT_DECODE_ALGORITHMS"))
        return Finding(FAIL, f"there is no {', '.join(unknown)}", f"correct {' and '.join(keys)}")
    if "none" in names:
        advice = f"remove none from {context.authority.config_name('JWT_DECODE_ALGORITHMS')}"
        return Finding(FAIL, f"{detail}: none accepts unsigned tokens", advice)
    if len({name in requires_cryptography for name in names}) > 1:
        return Finding(FAIL, f"{detail}: shared secrets and public keys are mixed", "use one kind only")
    return Finding(OK, detail)


def check_key(context: DoctorContext) -> Finding:
    """Check that a key is set, of the kind and strength that its algorithm needs (RFC 7518 §3)."""
    manager = context.authority.manager
    has_host_loader = manager is not None and manager._decode_key_callback is not default_decode_key_callback
    if context.authority.host is not None and has_host_loader:
        return Finding(OK, "the host's decode_key_loader chooses one for each token")
    name, key = get_verification_key(context)
    if not key and context.mount.config.issuers and not context.authority.has_key():
        return Finding(OK, f"{name} is not set: only tokens of PROVISIONING_ISSUERS are accepted")
    if not key:
        return Finding(FAIL, f"{name} is not set", "set it: tokens cannot be verified without it")
    return _check_key_strength(name, key, list_algorithms(context)[0])


def list_algorithms(context: DoctorContext) -> list[str]:
    """Return the accepted algorithms, the signing one first."""
    config = context.authority.app.config
    signing = config.get("JWT_ALGORITHM", "HS256")
    return [signing, *(name for name in config.get("JWT_DECODE_ALGORITHMS") or () if name != signing)]


def get_verification_key(context: DoctorContext) -> tuple[str, Any]:
    """Return the verification key and the name of its configuration key, the name first."""
    config, config_name = context.authority.app.config, context.authority.config_name
    if list_algorithms(context)[0] in requires_cryptography:
        return config_name("JWT_PUBLIC_KEY"), config.get("JWT_PUBLIC_KEY")
    if config.get("JWT_SECRET_KEY") or context.authority.host is None or context.authority.manager is None:
        return config_name("JWT_SECRET_KEY"), config.get("JWT_SECRET_KEY")
    return "SECRET_KEY", config.get("SECRET_KEY")


def _check_key_strength(name: str, key: Any, algorithm: str) -> Finding:
    prepared = get_default_algorithms()[algorithm].prepare_key(key)
    if algorithm in _HMAC_BYTES:
        needed = _HMAC_BYTES[algorithm]
        if len(prepared) < needed:
            return Finding(FAIL, f"{name} has {len(prepared)} bytes, {algorithm} needs {needed}", _GENERATE_ADVICE)
        return Finding(OK, f"{name}, {len(prepared)} bytes")
    bits = getattr(prepared, "key_size", None)
    if bits is not None and algorithm.startswith(("RS", "PS")) and bits < _RSA_BITS:
        return Finding(FAIL, f"{name} has {bits} bits, {algorithm} needs {_RSA_BITS}", "make a new key pair")
    if hasattr(prepared, "private_bytes"):
        return Finding(WARN, f"{name} contains a private key", "set it to the public key")
    return Finding(OK, f"{name}, {bits} bits" if bits else name)


def check_issuers(context: DoctorContext) -> Finding:
    """Check that the keys of each identity provider can be fetched, over a connection that is protected."""
    issuers = context.mount.config.issuers
    if not issuers:
        return Finding(OK, "no identity providers: PROVISIONING_ISSUERS is not set")
    found, failures = [], []
    for name, issuer in issuers.items():
        try:
            keys = fetch_public_keys(issuer.jwks)
        except Exception as error:
            failures.append(f"the keys of {name} cannot be fetched: {context.describe_error(error)}")
            continue
        count = len({key.text for key in keys.values()})
        found.append(f"{name}: {count} {'key' if count == 1 else 'keys'}")
        if not keys:
            failures.append(f"{name} publishes no public key for signatures")
    if failures:
        advice = "correct `jwks`, or let this machine reach it: without keys, tokens of the issuer are refused"
        return Finding(FAIL, "; ".join(failures), advice)
    plain = [config.jwks for config in issuers.values() if _is_plain_http(config.jwks)]
    if plain:
        return Finding(WARN, f"keys are fetched without TLS: {', '.join(plain)}", "use https outside a trusted network")
    return Finding(OK, ", ".join(found))


def _is_plain_http(location: str) -> bool:
    """Return whether this is an ``http`` URL of another machine."""
    parts = urlsplit(location)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


_SIGNS_NONE = "this app signs no tokens"
_LONG_LIFETIME = timedelta(days=1)


def check_expiry(context: DoctorContext) -> Finding:
    """Check that tokens expire, within a day."""
    if not _can_sign(context):
        return Finding(OK, _SIGNS_NONE)
    with context.authority.signing_context():
        lifetime = config.access_expires
    if lifetime is False:
        detail = "JWT_ACCESS_TOKEN_EXPIRES is False, and the API refuses tokens that never expire"
        return Finding(FAIL, detail, "set it to a timedelta")
    if datetime.now(UTC) + lifetime > datetime.now(UTC) + _LONG_LIFETIME:
        return Finding(
            WARN, f"tokens live {lifetime}", "a stolen one is valid for as long: shorten JWT_ACCESS_TOKEN_EXPIRES"
        )
    return Finding(OK, f"tokens live {lifetime}")


def check_probe(context: DoctorContext) -> Finding:
    """Check that the API accepts a token that the app signs. The host's blocklist and user lookup are not called."""
    if not _can_sign(context):
        return Finding(OK, _SIGNS_NONE)
    try:
        token = sign_probe(context)
    except Exception as error:
        advice = "the host's loaders accept no text as identity, or the key cannot sign"
        return Finding(WARN, f"no token could be signed: {context.describe_error(error)}", advice)
    try:
        principal = verify_own_token(context.mount, token)
    except ProvisioningError as problem:
        return Finding(FAIL, f"the API refuses this app's tokens: {problem.detail}")
    except Exception as error:
        detail = f"the API refuses this app's tokens: {context.describe_error(error)}"
        return Finding(FAIL, detail, make_key_advice(context.mount))
    return Finding(OK, f"a token was signed and accepted, with {len(principal.permissions)} permissions")


def sign_probe(context: DoctorContext) -> str:
    """Return a partner's token signed by the app. Raises exceptions of Flask-JWT-Extended and the host's loaders."""
    with context.authority.signing_context():
        return str(create_access_token(context.subject, additional_claims=context.make_claims()))


def _can_sign(context: DoctorContext) -> bool:
    with context.authority.signing_context():
        manager = find_jwt_manager(current_app)
        if manager is None or not context.authority.has_key():
            return False
        has_host_loader = manager._encode_key_callback is not default_encode_key_callback
        return has_host_loader or not config.is_asymmetric or bool(current_app.config.get("JWT_PRIVATE_KEY"))
