"""`flask provisioning purge` and `rekey`: removal of expired data, and encryption with the newest key."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import click
from flask.cli import with_appcontext
from sqlalchemy import and_, bindparam, func, select

from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import Statement
from ..encoding import escape_control_characters
from ..mount import Mount
from ..settings.key_rotation import ResealCount, reseal_all
from ..tenants.lifecycle import ALL_PARTNERS, purge_due
from ..web.idempotency import delete_expired
from ..workers.maintenance import calculate_erasure_days, erase_due
from .options import find_mount, json_option, make_operator, mount_option
from .output import print_json, print_text
from .webhooks import reseal_endpoints


class PurgeCounts(NamedTuple):
    """Numbers of removed rows; the field names are those of the JSON that `purge` prints."""

    tenants: int
    idempotency_records: int
    erased_tenants: int


class PurgeCountSQL:
    """Statements of this module, built once for each storage."""

    def __init__(self, storage: Storage) -> None:
        now = bindparam("now", type_=storage.table("tenants").c.purge_at.type)
        e = storage.table("erasures").c
        erasable = and_(e.erased_at.is_(None), e.purged_at <= bindparam("purged_before", type_=e.purged_at.type))
        counts = (
            select(func.count()).where(storage.table("tenants").c.purge_at <= now),
            select(func.count()).where(storage.table("idempotency").c.expires_at <= now),
            select(func.count(e.tenant_id.distinct())).where(erasable),
        )
        self.counts = [Statement(count, storage.engine.dialect) for count in counts]


def count_due(session: Session, erasure_days: int) -> PurgeCounts:
    """Count the rows that a purge would remove now. Traces are removed `erasure_days` after their tenant was purged."""
    now = session.storage.clock()
    times = {"now": format_instant(now), "purged_before": format_instant(now, days=-erasure_days)}
    return PurgeCounts(*(session.run(sql, times).fetchone()[0] for sql in session.storage.once(PurgeCountSQL).counts))


@click.command(
    "purge",
    help="Remove data whose retention has ended. Removes deleted tenants, traces of purged tenants, and the responses "
    "stored for repeated requests.",
)
@click.option("--dry-run", is_flag=True, help="Only print how many rows would be removed.")
@json_option
@mount_option
@with_appcontext
def purge(dry_run: bool, as_json: bool, mount_name: str | None) -> None:
    """Purge in short transactions: several may run at once, and an interrupted one loses nothing."""
    mount = find_mount(mount_name)
    if dry_run:
        counts = mount.storage.read(partial(count_due, erasure_days=calculate_erasure_days(mount.config)))
    else:
        counts = _purge(mount)
    if as_json:
        print_json({**counts._asdict(), "dry_run": dry_run})
        return
    verb = "Would remove" if dry_run else "Removed"
    tenants, records, erased = counts
    traces = f", and the traces of {_format_count(erased, 'purged tenant')}" if erased else ""
    print_text(f"{verb} {_format_count(tenants, 'tenant')} and {_format_count(records, 'idempotency record')}{traces}.")


def _purge(mount: Mount) -> PurgeCounts:
    tenants, records = purge_due(mount.storage, make_operator(ALL_PARTNERS)), 0
    while deleted := mount.storage.transaction(delete_expired):
        records += deleted
    return PurgeCounts(tenants, records, erase_due(mount.storage, mount.config))


def _format_count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@click.command(
    "rekey",
    help="Re-encrypt all secrets with the newest key. The newest key is the first of PROVISIONING_ENCRYPTION_KEYS.",
)
@mount_option
@with_appcontext
def rekey(mount_name: str | None) -> None:
    """Re-encrypt one owner per transaction: others may write, and an interrupted run can be repeated."""
    mount = find_mount(mount_name)
    webhooks, unreadable = reseal_endpoints(mount)
    settings, versions = map(_report_failures, reseal_all(mount.storage, mount.keyring))
    resealed = {"webhooks": webhooks, "settings": settings.resealed, "versions of settings": versions.resealed}
    print_text(f"Re-encrypted: {', '.join(f'{count} {noun}' for noun, count in resealed.items())}.")
    failed = unreadable + len(settings.failures) + len(versions.failures)
    if failed:
        raise click.ClickException(f"The secrets of {failed} of them cannot be decrypted.")


def _report_failures(count: ResealCount) -> ResealCount:
    """Print the owners of settings whose secrets cannot be decrypted, and return `count`."""
    for scope, reason in count.failures:
        owner = f"the partner {escape_control_characters(scope.partner)}"
        if scope.tenant:
            owner = f"the tenant {scope.tenant}"
        print_text(f"settings of {owner}: {reason}", err=True)
    return count
