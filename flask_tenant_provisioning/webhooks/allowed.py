"""Where the webhooks of a mount may be sent, as its operator configured it."""

from __future__ import annotations

from ..config import Settings
from .guard import Guard, Refused, Resolve
from .resolver import Resolver


def guard_of(settings: Settings, resolve: Resolve | None = None) -> Guard:
    """The guard at registration and at every send, which looks names up within two seconds unless told otherwise."""
    resolve = Resolver() if resolve is None else resolve
    return Guard(settings.webhook_schemes, settings.webhook_ports, settings.webhook_allowed_networks, resolve)


def refusal_of(settings: Settings, resolve: Resolve, url: str) -> str | None:
    """Why no webhook may be sent to `url`, for the partner; None where one may."""
    try:
        guard_of(settings, resolve).check(url)
    except Refused as refusal:
        return str(refusal)
    return None
