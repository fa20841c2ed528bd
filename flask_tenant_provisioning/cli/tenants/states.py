"""``tenants suspend | reactivate | delete | restore | move``."""

from __future__ import annotations

from functools import partial

import click

from ...tenants import lifecycle, moving
from ...tenants.schemas import move_input, suspension_input
from ...web.mount import Mount
from ...web.validation import load
from ..mounts import chosen_mount
from ..output import cell, say
from ..problems import told
from .options import TEXT, on_one_tenant, sent
from .working import allowance, changed, found, say_tenant


@click.command("suspend", help="Suspend the active tenant with the id TENANT.")
@click.option("--reason", type=TEXT, help="Why.")
@on_one_tenant
def suspend(tenant: str, partner: str | None, reason: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        why = load(suspension_input(), sent({"reason": reason})).get("reason")
        work = partial(lifecycle.suspend, reason=why)
        say_tenant(chosen, changed(chosen, tenant, partner, work), as_json=as_json)


@click.command("reactivate", help="Make the suspended tenant with the id TENANT active again.")
@on_one_tenant
def reactivate(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        say_tenant(chosen, changed(chosen, tenant, partner, lifecycle.reactivate), as_json=as_json)


@click.command("restore", help="Restore the deleted tenant with the id TENANT to the status that it had.")
@on_one_tenant
def restore(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        work = partial(lifecycle.restore, allowance=allowance(chosen))
        say_tenant(chosen, changed(chosen, tenant, partner, work), as_json=as_json)


@click.command("move", help="Give the tenant with the id TENANT to another partner.")
@click.option("--to", "receiver", type=TEXT, required=True, help="Whose it is to be.")
@on_one_tenant
def move(tenant: str, receiver: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        wanted = load(move_input(), {"partner": receiver})["partner"]
        work = partial(moving.move, partner=wanted)
        say_tenant(chosen, changed(chosen, tenant, partner, work), as_json=as_json)


@click.command("delete", help="Delete the tenant with the id TENANT; it can be restored until its `purge_at`.")
@click.option("--purge", is_flag=True, help="Remove it for good, at once.")
@click.option("--yes", is_flag=True, help="Purge without asking.")
@on_one_tenant
def delete(tenant: str, partner: str | None, purge: bool, yes: bool, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        if purge:
            _purge(chosen, tenant, partner, ask=not yes, quiet=as_json)
            return
        work = partial(lifecycle.delete, retention_days=chosen.settings.retention_days)
        say_tenant(chosen, changed(chosen, tenant, partner, work), as_json=as_json)


def _purge(mount: Mount, tenant_id: str, partner: str | None, *, ask: bool, quiet: bool) -> None:
    """Remove a tenant; the API answers nothing, and so does JSON."""
    tenant = found(mount, tenant_id, partner)
    if ask:
        name, owner = cell(tenant.client_name), cell(tenant.partner_id)
        click.confirm(f"Purge {name} of {owner} ({tenant.id}) for good?", abort=True, err=True)
    gone = changed(mount, tenant.id, tenant.partner_id, lifecycle.purge)
    if not quiet:
        say(f"{tenant.id} is purged." if gone else f"{tenant.id} will be: `tenants provisioning` shows how far it is.")
