"""Which of the app's mounts a command works on."""

from __future__ import annotations

import click
from flask import current_app

from ..licensing import LicenseError
from ..web.mount import Mount

mount_option = click.option("--mount", metavar="NAME", help="The mount's name, where the app has several.")


def require_served(mount: Mount) -> None:
    """Raise `click.ClickException` that says why, where no licence lets the app serve the mount."""
    if mount.served:
        return
    if mount.settings.edition == "community":
        reason = "PROVISIONING_EDITION is 'community'."
    else:
        try:
            mount.license.load()
            reason = "Restart the app: it was started without this licence."
        except LicenseError as error:
            reason = str(error)
    raise click.ClickException(f"The API is not mounted, and nothing would answer: {reason}")


def chosen_mount(name: str | None) -> Mount:
    """The mount of this name, or the app's first. Raises `click.ClickException`."""
    mounts: dict[str, Mount] = current_app.extensions.get("tenant_provisioning", {})
    if not mounts:
        raise click.ClickException("This app has no TenantProvisioning: call init_app(app) first.")
    if name is not None and name not in mounts:
        raise click.ClickException(f"There is no mount {name!r}; there is {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))
