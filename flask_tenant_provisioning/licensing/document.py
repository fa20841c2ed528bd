"""The licence document: a compact JWS (RFC 7515) signed with Ed25519 (RFC 8037), and the claims in it.

`verify` checks the signature first, then the claims, then whether the licence is for this installation. One algorithm
and one type are accepted. Header parameters that carry keys (`jwk`, `jku`, `x5c`, `x5u`) are not read, and a header
with `crit` is refused.
"""

from __future__ import annotations

import base64
import datetime
import functools
import math
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from ..encoding import decode_base64url, parse_json_object

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class LicenseError(Exception):
    """There is no valid licence. `reason` says what is wrong, `advice` what to do about it, a sentence each."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason = reason
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.reason} {self.advice}"


ASK_VENDOR = "Ask the vendor for a new licence file."
COPY_AGAIN = "Copy the vendor's file again, byte for byte."
FEATURE = "tenant-provisioning"
EDITION = "enterprise"
ANY_INSTALL = "*"
DAY = 86_400
#: The accepted delay of this machine's clock behind the vendor's, in seconds.
LEEWAY_SECONDS = 300
#: The first second of the year 3000: no licence lasts longer.
MAX_TIME = 32_503_680_000
MAX_DAYS = 3_660


class State(StrEnum):
    """The state of a licence. Only `EXPIRED`, which follows the grace period, refuses anything."""

    VALID = "valid"
    WARN = "warn"
    GRACE = "grace"
    EXPIRED = "expired"


@dataclass(frozen=True)
class License:
    """The claims that the vendor signed. Times are seconds since 1970 (UTC); `max_tenants` is None without a limit."""

    customer: str
    install: tuple[str, ...]
    id: str
    kid: str
    edition: str
    features: frozenset[str]
    max_tenants: int | None
    not_before: int
    expires: int
    warn_days: int
    grace_days: int
    issuer: str = ""

    @property
    def warns_from(self) -> int:
        """The time from which warnings of the expiry are logged."""
        return self.expires - self.warn_days * DAY

    @functools.cached_property
    def grace_ends(self) -> int:
        """The first second after the grace period."""
        return self.expires + self.grace_days * DAY

    def state(self, now: float) -> State:
        """Return the state at `now`, in seconds since 1970. At `expires` the licence has expired (RFC 7519 §4.1.4).

        `not_before` is not considered: `verify` has checked it once, and a clock that is set back changes nothing.
        """
        if now < self.warns_from:
            return State.VALID
        if now < self.expires:
            return State.WARN
        return State.GRACE if now < self.grace_ends else State.EXPIRED

    def days_left(self, now: float) -> int:
        """Return the whole days until the licence expires; negative once it has."""
        return math.floor((self.expires - now) / DAY)


def verify(
    text: str | bytes, keys: Mapping[str, str], *, install_id: str | None, revoked: Collection[str], now: float
) -> License:
    """Return the licence in `text`, verified for this installation and time. Raises `LicenseError`.

    An expired licence is returned too: the caller decides by its `state`.
    """
    license = authenticate(text, keys, revoked)
    require_applicable(license, install_id, now)
    return license


def authenticate(text: str | bytes, keys: Mapping[str, str], revoked: Collection[str]) -> License:
    """Return the licence if the key that it names has signed these bytes and neither of them is revoked.

    Raises `LicenseError`. No claim is read before the signature has been verified.
    """
    envelope = parse_jws(text)
    if envelope.kid in revoked:
        raise LicenseError(f"The licence is signed with the key {envelope.kid!r}, which is revoked.", ASK_VENDOR)
    envelope.check(load_public_key(keys, envelope.kid))
    license = parse_claims(envelope.kid, parse_strict_json(envelope.payload, "content"))
    if license.id in revoked:
        raise LicenseError(f"The licence {license.id!r} is revoked.", ASK_VENDOR)
    return license


def require_applicable(license: License, install_id: str | None, now: float) -> None:
    """Raise `LicenseError` unless the licence is for this product and installation and has begun (5 minutes leeway)."""
    if license.edition != EDITION:
        raise LicenseError(f"The licence is for the edition {license.edition!r}, not {EDITION!r}.", ASK_VENDOR)
    if FEATURE not in license.features:
        raise LicenseError(f"The licence does not include the feature {FEATURE!r}.", ASK_VENDOR)
    if not {ANY_INSTALL, install_id} & {*license.install}:
        bound = ", ".join(map(repr, license.install))
        raise LicenseError(
            f"The licence is bound to another installation ({bound}; this one is {install_id!r}).",
            "Set PROVISIONING_INSTALL_ID to the id that the licence names, or ask the vendor for one for this id.",
        )
    if license.not_before > now + LEEWAY_SECONDS:
        raise LicenseError(
            f"The licence is not valid before {format_time(license.not_before)}.",
            "Check this machine's clock; a file that replaces a licence in force is taken over when its time comes.",
        )


def decode_unverified(text: str | bytes) -> License:
    """Decode a licence without verifying its signature, only to show it. Raises `LicenseError`."""
    envelope = parse_jws(text)
    return parse_claims(envelope.kid, parse_strict_json(envelope.payload, "content"))


def parse_claims(kid: str, claims: Mapping[str, Any]) -> License:
    """Make a licence from claims with strict types; unknown claims are ignored. Raises `LicenseError`.

    `max_tenants` may be absent or null; every other claim is required.
    """
    license = License(
        customer=_read_text(claims, "sub"),
        install=_read_install_ids(claims),
        id=_read_text(claims, "jti"),
        kid=kid,
        edition=_read_text(claims, "edition"),
        features=frozenset(_read_texts(claims, "features")),
        max_tenants=None if claims.get("max_tenants") is None else _read_number(claims, "max_tenants", 2**53),
        not_before=_read_number(claims, "nbf", MAX_TIME),
        expires=_read_number(claims, "exp", MAX_TIME),
        warn_days=_read_number(claims, "warn_days", MAX_DAYS),
        grace_days=_read_number(claims, "grace_days", MAX_DAYS),
        issuer=_read_text(claims, "iss"),
    )
    if license.expires <= license.not_before:
        raise _make_claim_error("exp", "a time after `nbf`")
    return license


def format_time(seconds: float) -> str:
    """Format a time as RFC 3339 in UTC, to the second."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _read_install_ids(claims: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(claims.get("aud"), str):
        return (_read_text(claims, "aud"),)
    return _read_texts(claims, "aud")


def _read_text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not is_printable_text(value):
        raise _make_claim_error(name, "a text of 1 to 256 printable characters")
    return value


def _read_texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not value or not all(map(is_printable_text, value)):
        raise _make_claim_error(name, "a list of texts of 1 to 256 printable characters")
    return tuple(value)


def _read_number(claims: Mapping[str, Any], name: str, high: int) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise _make_claim_error(name, f"a whole number from 0 to {high}")
    return value


def _make_claim_error(name: str, expected: str) -> LicenseError:
    return LicenseError(f"The licence's claim `{name}` is not {expected}.", ASK_VENDOR)


ALGORITHM = "EdDSA"
JWS_TYPE = "license+jws"
MAX_BYTES = 64 * 1024
MAX_TEXT_LENGTH = 256
#: The characters that editors, shells and environment files leave around a licence.
_SURROUNDING_SPACE = re.compile(rb"\A(?:\xef\xbb\xbf)?(?:\s|\\[nrt])*|(?:\s|\\[nrt])+\Z")


class Envelope(NamedTuple):
    """The contents of a compact JWS, and the JWS itself without surrounding space."""

    kid: str
    payload: bytes
    jws: bytes

    def check(self, key: Ed25519PublicKey) -> None:
        """Raise `LicenseError` unless `key` made the signature (RFC 8032 §5.1.7)."""
        from jwt import InvalidTokenError, PyJWS  # loads cryptography, which a host without a licence does not need

        try:
            PyJWS().decode(self.jws, key, algorithms=[ALGORITHM])
        except InvalidTokenError:
            raise LicenseError(
                f"The licence's signature does not fit the public key {self.kid!r}.", COPY_AGAIN
            ) from None


def parse_jws(text: str | bytes) -> Envelope:
    """Split a compact JWS of at most 64 KiB. Raises `LicenseError`.

    White space around it is ignored, also if it is written out (``\\n``), and so is a byte order mark.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MAX_BYTES:
        raise LicenseError("The licence is longer than 64 KiB.", COPY_AGAIN)
    if raw.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raw = raw.decode("utf-16", "replace").encode()
    jws = _SURROUNDING_SPACE.sub(b"", raw)
    parts = jws.split(b".")
    if len(parts) != 3:
        raise LicenseError("The licence is not a compact JWS: three parts with two dots between them.", COPY_AGAIN)
    header, payload, _ = map(_decode_base64url, parts)
    return Envelope(_read_key_id(parse_strict_json(header, "header")), payload, jws)


def parse_strict_json(raw: bytes, name: str) -> dict[str, Any]:
    """Parse one JSON object in UTF-8, without duplicate keys, fractions or NaN. Raises `LicenseError`."""
    try:
        return parse_json_object(raw, parse_float=_reject_fraction)
    except ValueError:
        raise LicenseError(
            f"The licence's {name} is not strict JSON: one object, no key twice, whole numbers.", ASK_VENDOR
        ) from None


def is_printable_text(value: object) -> bool:
    """Return whether `value` is a text of 1 to 256 printable characters."""
    return isinstance(value, str) and 0 < len(value) <= MAX_TEXT_LENGTH and value.isprintable()


def _read_key_id(header: Mapping[str, Any]) -> str:
    if header.get("alg") != ALGORITHM:
        raise LicenseError(f"The licence is signed with another algorithm than {ALGORITHM} (Ed25519).", ASK_VENDOR)
    if header.get("typ") != JWS_TYPE:
        raise LicenseError(f"The document is no licence: its `typ` is not {JWS_TYPE!r}.", ASK_VENDOR)
    if "crit" in header:
        raise LicenseError("The licence demands an extension (`crit`) that this version does not know.", ASK_VENDOR)
    kid = header.get("kid")
    if not isinstance(kid, str) or not is_printable_text(kid):
        raise LicenseError("The licence does not name the key that signed it (`kid`).", ASK_VENDOR)
    return kid


def _reject_fraction(literal: str) -> NoReturn:
    raise ValueError("not a whole number")


def _decode_base64url(part: bytes) -> bytes:
    try:
        return decode_base64url(part.decode("ascii"))
    except ValueError:
        raise LicenseError("The licence is damaged: a part of it is not canonical base64url.", COPY_AGAIN) from None


PUBLIC_KEYS = "PROVISIONING_LICENSE_PUBLIC_KEYS"


def load_public_key(keys: Mapping[str, str], kid: str) -> Ed25519PublicKey:
    """Return the public key that `kid` names. Raises `LicenseError` if it is not configured or no Ed25519 key."""
    if kid not in keys:
        raise LicenseError(
            f"The licence is signed with the key {kid!r}, and no public key of that id is configured.",
            f"Add the vendor's public key of that id to {PUBLIC_KEYS}, or ask for a licence signed with a known key.",
        )
    key = _parse_public_key(_unescape_key(keys[kid]))
    if key is None:
        raise LicenseError(
            f"The public key configured for {kid!r} cannot be used.",
            f"Put the vendor's Ed25519 public key into {PUBLIC_KEYS}: PEM, or base64 of its 32 bytes.",
        )
    return key


def _unescape_key(text: str) -> str:
    """Return a key without a byte order mark, and with the line ends that an environment file wrote out."""
    return text.removeprefix("\ufeff").replace("\\r", "").replace("\\n", "\n").strip()


def _parse_public_key(text: str) -> Ed25519PublicKey | None:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        if text.startswith("-----BEGIN "):
            key: object = load_pem_public_key(text.encode())
        else:
            key = Ed25519PublicKey.from_public_bytes(_decode_key(text))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


def _decode_key(text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
