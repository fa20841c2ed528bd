"""Whether webhooks can be signed, and where they may be sent."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_network
from typing import Any

from ...config import Settings
from ...database import instant
from ...keyring import Keyring, Unsealable
from ...webhooks import actions
from ...webhooks.models import Endpoint
from ...webhooks.secrets import signing_keys
from .findings import FAIL, KEYS, OK, WARN, Finding, Patient

NETWORKS = "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS"
#: How many endpoints are looked at, the oldest.
_LOOKED_AT = 1000
#: This machine, and what clouds tell a machine of itself.
_NEAREST = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))


def can_be_signed(patient: Patient) -> Finding:
    """The keys open the secrets in the database, and are not derived from one that is changed for other reasons."""
    mount = patient.mount
    if unseen := patient.unseen("signed"):
        return unseen
    endpoints, more = mount.storage.read(partial(actions.page, partner=None, limit=_LOOKED_AT, after=None))
    now = instant(mount.storage.clock())
    closed = sum(not _opens(mount.keyring, endpoint, now) for endpoint in endpoints)
    count = f"the first {_LOOKED_AT}" if more else f"{len(endpoints)}"
    if closed:
        return _closed(closed, len(endpoints), count)
    return _sealed(mount.settings, len(endpoints), count)


def go_nowhere_near(patient: Patient) -> Finding:
    """No partner can have webhooks sent to this machine."""
    settings = patient.mount.settings
    ports = f"port {', '.join(map(str, settings.webhook_ports))}" if settings.webhook_ports else "any port"
    networks = settings.webhook_allowed_networks
    detail = f"{' and '.join(settings.webhook_schemes)}, {ports}"
    if not networks:
        return Finding(OK, f"{detail}, and no internal network")
    shown = ", ".join(map(str, networks))
    detail = f"{detail}, and internally {shown}: whoever may manage webhooks reaches all of that"
    if any(_meet(network, near) for network in networks for near in _NEAREST):
        return Finding(WARN, f"{detail}, this machine too", f"narrow {NETWORKS}, unless it is for development")
    return Finding(OK, detail)


def _opens(keyring: Keyring, endpoint: Endpoint, now: str) -> bool:
    try:
        signing_keys(keyring, endpoint, now)
    except Unsealable:
        return False
    return True


def _closed(closed: int, among: int, count: str) -> Finding:
    advice = f"put the key back that sealed them, behind the others in {KEYS}"
    if closed == among:
        return Finding(FAIL, f"{KEYS} open the secret of none of {count} webhooks", advice)
    detail = f"{KEYS} do not open the secrets of {closed} of {count} webhooks"
    return Finding(WARN, detail, f"{advice}, or have their partners rotate them")


def _sealed(settings: Settings, among: int, count: str) -> Finding:
    if settings.encryption_keys:
        return Finding(OK, f"{KEYS} open the secrets of {count} webhooks")
    if among:
        detail = f"the secrets of {count} webhooks are lost with the app's secret key, which seals them"
        return Finding(WARN, detail, f"set {KEYS}: a new key, and that secret behind it; then `webhooks reseal`")
    if settings.webhook_limit:
        return Finding(OK, "there are none yet", f"set {KEYS} before the first: the app's secret key would seal it")
    return Finding(OK, "PROVISIONING_WEBHOOK_LIMIT is 0: there are none")


def _meet(one: Any, other: Any) -> bool:
    return one.version == other.version and bool(one.overlaps(other))
