"""``flask provisioning rekey``: every secret in the database sealed by the newest key."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..settings.rekeying import Count, reseal
from .mounts import chosen_mount, mount_option
from .output import say
from .problems import told
from .text import printable
from .webhooks.sealing import reseal_every


@click.command("rekey", help="Encrypt every secret in the database with the first of PROVISIONING_ENCRYPTION_KEYS.")
@mount_option
@with_appcontext
def rekey(mount: str | None) -> None:
    """Interrupted, it begins again; while it runs, others may write."""
    chosen = chosen_mount(mount)
    with told():
        webhooks, lost = reseal_every(chosen)
        settings, versions = map(_told, reseal(chosen.storage, chosen.keyring))
    done = {"webhooks": webhooks, "settings": settings.done, "versions of settings": versions.done}
    say(f"Sealed anew: {', '.join(f'{count} {what}' for what, count in done.items())}.")
    if failed := lost + len(settings.failed) + len(versions.failed):
        raise click.ClickException(f"The secrets of {failed} of them cannot be opened.")


def _told(found: Count) -> Count:
    """Say whose secrets cannot be opened."""
    for place, reason in found.failed:
        whose = f"the tenant {place.tenant}" if place.tenant else f"the partner {printable(place.partner)}"
        say(f"settings of {whose}: {reason}", err=True)
    return found
