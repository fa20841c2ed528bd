"""How tokens are verified: by which manager, by which algorithms, with which key."""

from __future__ import annotations

from typing import Any

from flask_jwt_extended.default_callbacks import default_decode_key_callback
from jwt.algorithms import get_default_algorithms, requires_cryptography

from ...callables import require_done
from .findings import FAIL, ISOLATE, OK, WARN, Finding, Patient, named

_HMAC_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
_RSA_BITS = 2048
_MAKE_ONE = "python -c 'import secrets; print(secrets.token_hex(32))' makes one"


def manager(patient: Patient) -> Finding:
    """The app has a JWT manager, or needs none, or will get one when the API is mounted."""
    found = patient.authority.manager
    if patient.authority.host is None:
        return Finding(OK, "PROVISIONING_JWT_* count, and neither JWT_* nor the app's JWTManager")
    if found is not None:
        return Finding(OK, f"{type(found).__module__}.{type(found).__name__}")
    if patient.isolated:
        return Finding(OK, "no JWTManager; the isolated mount reads JWT_* itself")
    if patient.registered:
        return Finding(FAIL, "the app has no JWTManager", "call JWTManager(app)")
    return Finding(OK, "no JWTManager; the extension makes one when it mounts the API")


def users(patient: Patient) -> Finding:
    """No user lookup turns away partners, of whom the host knows nothing: it is asked for a subject that a token has.

    That subject is one that nobody has, unless `--subject` names a partner's.
    """
    found = patient.authority.manager
    if found is None or found._user_lookup_callback is None:
        return Finding(OK, "no user_lookup_loader")
    lookup = named(found._user_lookup_callback)
    if patient.isolated:
        return Finding(OK, f"{lookup} is not asked by the isolated mount")
    claims = {**patient.claims(), "sub": patient.subject, "jti": "doctor", "type": "access", "fresh": False}
    try:
        with patient.request(), patient.authority.verifying():
            user = require_done(found._user_lookup_callback({"typ": "JWT"}, claims), "it")
        outcome = None if user is not None else "knows no user"
    except Exception as error:
        outcome = f"fails ({type(error).__name__})"
    if outcome is None:
        return Finding(OK, f"{lookup} finds a user for the sub {patient.subject!r}")
    advice = f"{ISOLATE}, or let it know the partners' sub too and name one with --subject"
    return Finding(FAIL, f"{lookup} is asked for every caller, and {outcome} for the sub {patient.subject!r}", advice)


def algorithms(patient: Patient) -> Finding:
    """The algorithms exist, sign something, and are of one kind (RFC 8725 §3.1)."""
    names = algorithms_of(patient)
    shown = ", ".join(names)
    if unknown := [name for name in names if name not in get_default_algorithms()]:
        one, many = map(patient.authority.setting, ("JWT_ALGORITHM", "JWT_DECODE_ALGORITHMS"))
        return Finding(FAIL, f"there is no {', '.join(unknown)}", f"correct {one} and {many}")
    if "none" in names:
        advice = f"take none out of {patient.authority.setting('JWT_DECODE_ALGORITHMS')}"
        return Finding(FAIL, f"{shown}: none accepts what nobody signed", advice)
    if len({name in requires_cryptography for name in names}) > 1:
        return Finding(FAIL, f"{shown}: shared secrets and public keys are mixed", "name one kind alone")
    return Finding(OK, shown)


def strong(patient: Patient) -> Finding:
    """There is a key, of the kind and strength that its algorithm wants (RFC 7518 §3)."""
    found = patient.authority.manager
    if (
        patient.authority.host is not None
        and found is not None
        and found._decode_key_callback is not default_decode_key_callback
    ):
        return Finding(OK, "the host's decode_key_loader names one for each token")
    name, key = key_of(patient)
    if not key:
        return Finding(FAIL, f"{name} is not set", "nothing can verify tokens without it")
    return _judged(name, key, algorithms_of(patient)[0])


def algorithms_of(patient: Patient) -> list[str]:
    """The algorithms that are accepted; the one that signs comes first."""
    config = patient.authority.app.config
    signs = config.get("JWT_ALGORITHM", "HS256")
    return [signs, *(name for name in config.get("JWT_DECODE_ALGORITHMS") or () if name != signs)]


def key_of(patient: Patient) -> tuple[str, Any]:
    """The setting that holds the key which verifies, and the key."""
    config, setting = patient.authority.app.config, patient.authority.setting
    if algorithms_of(patient)[0] in requires_cryptography:
        return setting("JWT_PUBLIC_KEY"), config.get("JWT_PUBLIC_KEY")
    if config.get("JWT_SECRET_KEY") or patient.authority.host is None or patient.authority.manager is None:
        return setting("JWT_SECRET_KEY"), config.get("JWT_SECRET_KEY")
    return "SECRET_KEY", config.get("SECRET_KEY")


def _judged(name: str, key: Any, algorithm: str) -> Finding:
    prepared = get_default_algorithms()[algorithm].prepare_key(key)
    if algorithm in _HMAC_BYTES:
        needed = _HMAC_BYTES[algorithm]
        if len(prepared) < needed:
            return Finding(FAIL, f"{name} has {len(prepared)} bytes, {algorithm} wants {needed}", _MAKE_ONE)
        return Finding(OK, f"{name}, {len(prepared)} bytes")
    bits = getattr(prepared, "key_size", None)
    if bits is not None and algorithm.startswith(("RS", "PS")) and bits < _RSA_BITS:
        return Finding(FAIL, f"{name} has {bits} bits, {algorithm} wants {_RSA_BITS}", "make a new key pair")
    if hasattr(prepared, "private_bytes"):
        return Finding(WARN, f"{name} holds a private key", "put the public one there")
    return Finding(OK, f"{name}, {bits} bits" if bits else name)
