"""Which of the app's mounts a command works on."""

from __future__ import annotations

import click
from flask import current_app

from ..web.mount import Mount

mount_option = click.option("--mount", metavar="NAME", help="The mount's name, where the app has several.")


def chosen_mount(name: str | None) -> Mount:
    """The mount of this name, or the app's first. Raises `click.ClickException`."""
    mounts: dict[str, Mount] = current_app.extensions.get("tenant_provisioning", {})
    if not mounts:
        raise click.ClickException("This app has no TenantProvisioning: call init_app(app) first.")
    if name is not None and name not in mounts:
        raise click.ClickException(f"There is no mount {name!r}; there is {', '.join(mounts)}.")
    return mounts[name] if name else next(iter(mounts.values()))
