"""``webhooks reseal``."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import click
from flask.cli import with_appcontext

from ...keyring import Unsealable
from ...problems import WebhookNotFound
from ...web.mount import Mount
from ...webhooks import actions
from ...webhooks.actions import Target
from ...webhooks.models import Endpoint
from ..mounts import chosen_mount, mount_option
from ..output import say
from ..paging import pages
from ..problems import told


@click.command("reseal", help="Encrypt every webhook's secrets with the first of PROVISIONING_ENCRYPTION_KEYS.")
@mount_option
@with_appcontext
def reseal(mount: str | None) -> None:
    with told():
        done, failed = reseal_every(chosen_mount(mount))
    say(f"Webhooks sealed anew: {done}." if done else "Nothing was left to be sealed anew.")
    if failed:
        raise click.ClickException(f"The secrets of {failed} webhooks cannot be opened.")


def reseal_every(mount: Mount) -> tuple[int, int]:
    """Seal the secrets of every endpoint anew: how many had to be, and how many, which it says, cannot be opened."""
    done, failed = 0, 0
    for endpoint in _every(mount):
        try:
            done += _resealed(mount, endpoint)
        except Unsealable as error:
            failed += 1
            say(f"{endpoint.id}: {error}", err=True)
    return done, failed


def _every(mount: Mount) -> Iterator[Endpoint]:
    for found, _ in pages(mount.storage, partial(actions.page, partner=None), lambda endpoint: endpoint, limit=0):
        yield from found


def _resealed(mount: Mount, endpoint: Endpoint) -> bool:
    """Whether it had to be; one that was deleted meanwhile had not."""
    with contextlib.suppress(WebhookNotFound):
        target = Target(endpoint.partner_id, endpoint.id)
        return mount.storage.transaction(partial(actions.reseal, target=target, keyring=mount.keyring))
    return False
