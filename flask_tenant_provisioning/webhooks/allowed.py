"""Where the webhooks of a mount may be sent, as its operator configured it."""

from __future__ import annotations

from ..config import Settings
from .guard import Guard, Refused


def guard_of(settings: Settings) -> Guard:
    """The guard at registration and at every send."""
    return Guard(settings.webhook_schemes, settings.webhook_ports, settings.webhook_allowed_networks)


def refusal_of(settings: Settings, url: str) -> str | None:
    """Why no webhook may be sent to `url`, for the partner; None where one may."""
    try:
        guard_of(settings).check(url)
    except Refused as refusal:
        return str(refusal)
    return None
