"""Tenants, and how long they and what happened to them are kept."""

from __future__ import annotations

import importlib.util
from typing import Any

from ..checks import flag, number, texts
from ..declaring import key


def _strict_phone(value: Any) -> bool:
    if flag(value) and importlib.util.find_spec("phonenumbers") is None:
        raise ValueError("False, or pip install 'flask-tenant-provisioning[phone]'")
    return bool(value)


class TenantKeys:
    """What tenants may have, and for how many days."""

    plans: tuple[str, ...] | None = key(None, "The plans that exist; any text where unset.", texts)
    phone_e164: bool = key(False, "Accept only valid E.164 numbers; needs the extra `phone`.", _strict_phone)
    retention_days: int = key(30, "Days during which a deleted tenant can be restored.", number(0, 36_500))
    event_retention_days: int = key(30, "Days for which events stay in the feed.", number(1, 36_500))
    erasure_days: int = key(
        7,
        "Days after a purge until everything that says who the tenant was is erased from its events, bulk jobs and "
        "remembered answers, at the latest when its events go; 0: with the workers' next round of maintenance.",
        number(0, 36_500),
    )
