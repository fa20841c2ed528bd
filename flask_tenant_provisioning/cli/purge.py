"""``flask provisioning purge``: remove what is past its time."""

from __future__ import annotations

import click
from flask.cli import with_appcontext

from ..tenants.retention import EVERYBODY, purge_due
from ..web.idempotency import forget_expired
from ..web.mount import Mount
from .due import Counts, count_due
from .mounts import chosen_mount, mount_option
from .operator import operator
from .output import json_option, say, say_json
from .problems import told


@click.command("purge", help="Remove deleted tenants whose retention is over, and answers kept for too long.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@json_option
@mount_option
@with_appcontext
def purge(dry_run: bool, as_json: bool, mount: str | None) -> None:
    """Any number may run at once, and one that is interrupted has finished what it had begun."""
    chosen = chosen_mount(mount)
    with told():
        counts = chosen.storage.read(count_due) if dry_run else _purged(chosen)
    if as_json:
        say_json({**counts._asdict(), "dry_run": dry_run})
        return
    done = "Would remove" if dry_run else "Removed"
    tenants, records = counts
    say(f"{done} {_counted(tenants, 'tenant')} and {_counted(records, 'idempotency record')}.")


def _purged(mount: Mount) -> Counts:
    tenants, records = purge_due(mount.storage, operator(EVERYBODY)), 0
    while forgotten := mount.storage.transaction(forget_expired):
        records += forgotten
    return Counts(tenants, records)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
