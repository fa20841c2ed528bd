"""The licence as a value, and the way to it: signature first, then the claims, then whether it is meant for us."""

from __future__ import annotations

import datetime
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .errors import ASK, LicenseError
from .jws import is_text, strict_json, take_apart
from .keys import public_key

FEATURE = "tenant-provisioning"
EDITION = "enterprise"
ANY_INSTALL = "*"
DAY = 86_400
#: How far, in seconds, this machine's clock may be behind the vendor's.
LEEWAY = 300
#: The first second of the year 3000: no licence lasts longer.
LAST_TIME = 32_503_680_000
MAX_DAYS = 3_660


class State(StrEnum):
    """Where a licence stands in its life; only `EXPIRED`, which follows the grace, refuses anything."""

    VALID = "valid"
    WARN = "warn"
    GRACE = "grace"
    EXPIRED = "expired"


@dataclass(frozen=True)
class License:
    """What the vendor signed. Times are seconds since 1970 (UTC); `max_tenants` is None where there is no limit."""

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
        """The second from which the end is announced."""
        return self.expires - self.warn_days * DAY

    @property
    def ends(self) -> int:
        """The first second after the grace."""
        return self.expires + self.grace_days * DAY

    def state(self, now: float) -> State:
        """Say where the licence stands at `now`, in seconds since 1970; at `expires` it has expired (RFC 7519 §4.1.4).

        There is no state before `not_before`: `verify` has looked at it once, and a clock set back changes nothing.
        """
        if now < self.warns_from:
            return State.VALID
        if now < self.expires:
            return State.WARN
        return State.GRACE if now < self.ends else State.EXPIRED

    def days_left(self, now: float) -> int:
        """Whole days until it expires; negative from then on."""
        return math.floor((self.expires - now) / DAY)


def verify(
    text: str | bytes, keys: Mapping[str, str], *, install_id: str | None, revoked: Collection[str], now: float
) -> License:
    """Return the licence that `text` is, for this installation and at this time. Raises `LicenseError`.

    One that has expired is returned as well: what its `state` forbids is the caller's business.
    """
    license = authenticate(text, keys, revoked)
    admit(license, install_id, now)
    return license


def authenticate(text: str | bytes, keys: Mapping[str, str], revoked: Collection[str]) -> License:
    """Return the licence if the key that it names has signed these very bytes and neither of them is revoked.

    Raises `LicenseError`. No claim is looked at before the signature has been verified.
    """
    envelope = take_apart(text)
    if envelope.kid in revoked:
        raise LicenseError(f"The licence is signed with the key {envelope.kid!r}, which is revoked.", ASK)
    envelope.check(public_key(keys, envelope.kid))
    license = from_claims(envelope.kid, strict_json(envelope.payload, "content"))
    if license.id in revoked:
        raise LicenseError(f"The licence {license.id!r} is revoked.", ASK)
    return license


def admit(license: License, install_id: str | None, now: float) -> None:
    """Raise `LicenseError` unless the licence is for this product and installation and has begun (5 minutes leeway)."""
    if license.edition != EDITION:
        raise LicenseError(f"The licence is for the edition {license.edition!r}, not {EDITION!r}.", ASK)
    if FEATURE not in license.features:
        raise LicenseError(f"The licence does not include the feature {FEATURE!r}.", ASK)
    if not {ANY_INSTALL, install_id} & {*license.install}:
        bound = ", ".join(map(repr, license.install))
        raise LicenseError(
            f"The licence is bound to another installation ({bound}; this one is {install_id!r}).",
            "Set PROVISIONING_INSTALL_ID to the id that the licence names, or ask the vendor for one for this id.",
        )
    if license.not_before > now + LEEWAY:
        raise LicenseError(
            f"The licence is not valid before {as_date(license.not_before)}.",
            "Check this machine's clock; a file that replaces a licence in force is taken over when its time comes.",
        )


def unverified(text: str | bytes) -> License:
    """Decode a licence without asking who signed it, to show it and for nothing else. Raises `LicenseError`."""
    envelope = take_apart(text)
    return from_claims(envelope.kid, strict_json(envelope.payload, "content"))


def from_claims(kid: str, claims: Mapping[str, Any]) -> License:
    """Build a licence of strictly typed claims; those of no meaning here are passed over. Raises `LicenseError`.

    `max_tenants` may be absent or null; every other claim is required.
    """
    license = License(
        customer=_text(claims, "sub"),
        install=_install(claims),
        id=_text(claims, "jti"),
        kid=kid,
        edition=_text(claims, "edition"),
        features=frozenset(_texts(claims, "features")),
        max_tenants=None if claims.get("max_tenants") is None else _number(claims, "max_tenants", 2**53),
        not_before=_number(claims, "nbf", LAST_TIME),
        expires=_number(claims, "exp", LAST_TIME),
        warn_days=_number(claims, "warn_days", MAX_DAYS),
        grace_days=_number(claims, "grace_days", MAX_DAYS),
        issuer=_text(claims, "iss"),
    )
    if license.expires <= license.not_before:
        raise _unfit("exp", "a time after `nbf`")
    return license


def as_date(seconds: float) -> str:
    """Write a time as RFC 3339 in UTC, to the second."""
    return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _install(claims: Mapping[str, Any]) -> tuple[str, ...]:
    if isinstance(claims.get("aud"), str):
        return (_text(claims, "aud"),)
    return _texts(claims, "aud")


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not is_text(value):
        raise _unfit(name, "a text of 1 to 256 printable characters")
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = claims.get(name)
    if not isinstance(value, list) or not value or not all(map(is_text, value)):
        raise _unfit(name, "a list of texts of 1 to 256 printable characters")
    return tuple(value)


def _number(claims: Mapping[str, Any], name: str, high: int) -> int:
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= high:
        raise _unfit(name, f"a whole number from 0 to {high}")
    return value


def _unfit(name: str, wanted: str) -> LicenseError:
    return LicenseError(f"The licence's claim `{name}` is not {wanted}.", ASK)
