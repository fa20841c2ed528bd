"""Which mount of the app is meant, and whether it can be tested at all."""

from __future__ import annotations

from flask import Flask

from ..extension import KEY
from ..licensing import LicenseError
from ..web.mount import Mount


class NotReady(Exception):
    """There is nothing to test; the message says why, and what to do."""


def mount_of(app: Flask, name: str | None) -> Mount:
    """The mount of this name, or the app's first. Raises `NotReady` where it has none."""
    mounts: dict[str, Mount] = app.extensions.get(KEY, {})
    if not mounts:
        raise NotReady("This app has no TenantProvisioning: call provisioning.init_app(app) in it.")
    if name is not None and name not in mounts:
        raise NotReady(f"This app has no mount named {name!r}; it has {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))


def require_served(mount: Mount) -> None:
    """Raise `NotReady` where the licence did not let the app serve the mount."""
    if mount.served:
        return
    if mount.settings.edition == "community":
        raise NotReady("Nothing is mounted: PROVISIONING_EDITION is 'community'. Set it to 'enterprise'.")
    try:
        mount.license.load()
    except LicenseError as error:
        raise NotReady(f"Nothing is mounted: {error}") from error
    raise NotReady("Nothing is mounted: there was no licence when the app started. Start it again.")
