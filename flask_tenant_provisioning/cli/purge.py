"""``flask provisioning purge``: remove what is past its time."""

from __future__ import annotations

from functools import partial

import click
from flask.cli import with_appcontext

from ..engine.erasure import days_until_erasure, erase_due
from ..tenants.retention import EVERYBODY, purge_due
from ..web.idempotency import forget_expired
from ..web.mount import Mount
from .due import Counts, count_due
from .mounts import chosen_mount, mount_option
from .operator import operator
from .output import json_option, say, say_json
from .problems import told


@click.command(
    "purge",
    help="Remove deleted tenants whose retention is over, the traces of purged ones, and answers kept for too long.",
)
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@json_option
@mount_option
@with_appcontext
def purge(dry_run: bool, as_json: bool, mount: str | None) -> None:
    """Any number may run at once, and one that is interrupted has finished what it had begun."""
    chosen = chosen_mount(mount)
    with told():
        counts = (
            chosen.storage.read(partial(count_due, erasure_days=days_until_erasure(chosen.settings)))
            if dry_run
            else _purged(chosen)
        )
    if as_json:
        say_json({**counts._asdict(), "dry_run": dry_run})
        return
    done = "Would remove" if dry_run else "Removed"
    tenants, records, erased = counts
    traces = f", and the traces of {_counted(erased, 'purged tenant')}" if erased else ""
    say(f"{done} {_counted(tenants, 'tenant')} and {_counted(records, 'idempotency record')}{traces}.")


def _purged(mount: Mount) -> Counts:
    tenants, records = purge_due(mount.storage, operator(EVERYBODY)), 0
    while forgotten := mount.storage.transaction(forget_expired):
        records += forgotten
    return Counts(tenants, records, erase_due(mount.storage, mount.settings))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
