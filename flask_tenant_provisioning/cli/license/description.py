"""What a licence says, for people and for programs."""

from __future__ import annotations

from typing import Any

from ...licensing import License, LicenseError, State
from ...licensing.document import as_date
from .case import Case


def checked(case: Case, now: float) -> dict[str, Any]:
    if not case.keys:
        return {"verified": None, "problem": "The signature was not checked: no public key is given or configured."}
    try:
        case.authentic()
    except LicenseError as error:
        return {"verified": False, "problem": str(error)}
    try:
        case.admitted(now)
    except LicenseError as error:
        return {"verified": True, "problem": str(error)}
    return {"verified": True, "problem": None}


def described(license: License, now: float) -> dict[str, Any]:
    return {
        "id": license.id,
        "customer": license.customer,
        "issuer": license.issuer,
        "kid": license.kid,
        "install": list(license.install),
        "edition": license.edition,
        "features": sorted(license.features),
        "max_tenants": license.max_tenants,
        "not_before": as_date(license.not_before),
        "expires": as_date(license.expires),
        "warns_from": as_date(license.warns_from),
        "grace_ends": as_date(license.ends),
        "state": str(license.state(now)),
        "days_left": license.days_left(now),
    }


def readable(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value is None else str(value)


def standing(license: License, now: float) -> str:
    expires, ends = as_date(license.expires), as_date(license.ends)
    match license.state(now):
        case State.GRACE:
            return f"expired at {expires}, in its grace until {ends}"
        case State.EXPIRED:
            return f"expired at {expires}, its grace ended at {ends}"
        case state:
            return f"{state}, until {expires}, {license.days_left(now)} days left"
