"""The public keys that a client registers for `private_key_jwt`: a JSON Web Key Set (RFC 7517 §5)."""

from __future__ import annotations

from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError
from marshmallow import fields

from ..config_checks import ISSUER_ALGORITHMS
from ..encoding import dump_json
from ..errors import Fault
from ..validation import NULL, make_field_error

MAX_KEYS = 10
_MAX_KEY_LENGTH, _MAX_ID_LENGTH = 4096, 255
#: Public keys of these kinds, with the curves and sizes for which there is an algorithm (RFC 7518 §3.1, RFC 8037).
_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
_CURVES = ("P-256", "P-384", "P-521", "Ed25519")
_MIN_RSA_BITS, _MAX_RSA_BITS, _MAX_RSA_EXPONENT = 2048, 8192, 2**32
#: The members that only a private or a shared key has (RFC 7518 §6).
_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_NO_SET = Fault("invalid-type", f"Must be an object with the member keys, a list of 1 to {MAX_KEYS} keys.")
_PRIVATE = Fault("private-key", "Must be a public key: this one holds a secret part, which you should now replace.")
_INVALID = Fault("invalid-key", "Must be a public key: RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519.")
_NOT_FOR_SIGNATURES = Fault("invalid-key", "Must be a key for signatures: its use is sig.")
_INVALID_ID = Fault("invalid-key", f"Must have a kid of 1 to {_MAX_ID_LENGTH} characters that no other key has.")


class JwksField(fields.Field):  # type: ignore[type-arg]
    """A JSON Web Key Set of public keys. Members that do not describe the key itself are dropped."""

    default_error_messages = {"null": [NULL]}  # noqa: RUF012

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> dict[str, Any]:
        keys = value.get("keys") if isinstance(value, dict) else None
        if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS:
            raise make_field_error(_NO_SET)
        faults = {str(index): _find_fault(key) for index, key in enumerate(keys)}
        faulty = {index: fault for index, fault in faults.items() if fault is not None}
        if not faulty and len(keys) > 1:
            ids = [key.get("kid") for key in keys]
            faulty = {str(index): _INVALID_ID for index, kid in enumerate(ids) if kid is None or ids.count(kid) > 1}
        if faulty:
            raise make_field_error({"keys": faulty})  # type: ignore[dict-item]
        return {"keys": [_strip_key(key) for key in keys]}


def _find_fault(key: Any) -> Fault | None:
    if not isinstance(key, dict) or not isinstance(key.get("kty"), str):
        return _INVALID
    if _PRIVATE_MEMBERS & key.keys():
        return _PRIVATE
    if key.get("use", "sig") != "sig":
        return _NOT_FOR_SIGNATURES
    if "kid" in key and not (isinstance(key["kid"], str) and 1 <= len(key["kid"]) <= _MAX_ID_LENGTH):
        return _INVALID_ID
    return None if _is_usable(key) else _INVALID


def _is_usable(key: dict[str, Any]) -> bool:
    """Return whether this is a public key of a known kind, and of a size that is safe and cheap to verify with."""
    if not all(isinstance(key.get(name), str) for name in _MEMBERS.get(key["kty"], ("",))):
        return False
    if "alg" in key and not (isinstance(key["alg"], str) and key["alg"] in ISSUER_ALGORITHMS):
        return False
    stripped = _strip_key(key)
    if len(dump_json(stripped)) > _MAX_KEY_LENGTH or key.get("crv", _CURVES[0]) not in _CURVES:
        return False
    try:
        public = PyJWK(stripped).key
    except (PyJWTError, ValueError):
        return False
    if not isinstance(public, RSAPublicKey):
        return True
    return _MIN_RSA_BITS <= public.key_size <= _MAX_RSA_BITS and public.public_numbers().e < _MAX_RSA_EXPONENT


def _strip_key(key: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a key that say what it is and verify signatures."""
    names = ("kty", "kid", "use", "alg", *_MEMBERS[key["kty"]])
    return {name: key[name] for name in names if name in key}
