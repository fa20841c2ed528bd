"""`tenants suspend`, `reactivate`, `restore`, `move` and `delete`; `provisioning`, `retry` and `cancel`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ...encoding import escape_control_characters
from ...mount import Mount
from ...steps import actions
from ...tenants import lifecycle
from ...tenants.mutations import Target, load_tenant_in_any_state
from ...tenants.routes import parse_tenant_id
from ...tenants.schemas import move_input, suspension_input
from ...validation import load
from ..options import TEXT, build_body, find_mount, make_operator
from ..output import Table, format_cell, format_fields, get_terminal_width, print_json, print_text
from .common import change_tenant, find_tenant, load_allowance, print_tenant, tenant_options


@click.command("suspend", help="Suspend the active tenant with the id TENANT.")
@click.option("--reason", type=TEXT, help="Why.")
@tenant_options
def suspend(tenant: str, partner: str | None, reason: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    why = load(suspension_input(), build_body({"reason": reason})).get("reason")
    work = partial(lifecycle.suspend, reason=why)
    print_tenant(mount, change_tenant(mount, tenant, partner, work), as_json=as_json)


@click.command("reactivate", help="Make the suspended tenant with the id TENANT active again.")
@tenant_options
def reactivate(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    print_tenant(mount, change_tenant(mount, tenant, partner, lifecycle.reactivate), as_json=as_json)


@click.command("restore", help="Restore the deleted tenant with the id TENANT to the status that it had.")
@tenant_options
def restore(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    work = partial(lifecycle.restore, allowance=load_allowance(mount))
    print_tenant(mount, change_tenant(mount, tenant, partner, work), as_json=as_json)


@click.command("move", help="Give the tenant with the id TENANT to another partner.")
@click.option("--to", "receiver", type=TEXT, required=True, help="Whose it is to be.")
@tenant_options
def move(tenant: str, receiver: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    wanted = load(move_input(), {"partner": receiver})["partner"]
    work = partial(lifecycle.move, partner=wanted)
    print_tenant(mount, change_tenant(mount, tenant, partner, work), as_json=as_json)


@click.command("delete", help="Delete the tenant with the id TENANT; it can be restored until its `purge_at`.")
@click.option("--purge", is_flag=True, help="Remove it for good, at once.")
@click.option("--yes", is_flag=True, help="Purge without asking.")
@tenant_options
def delete(tenant: str, partner: str | None, purge: bool, yes: bool, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    if purge:
        _purge(mount, tenant, partner, ask=not yes, quiet=as_json)
        return
    work = partial(lifecycle.delete, retention_days=mount.settings.retention_days)
    print_tenant(mount, change_tenant(mount, tenant, partner, work), as_json=as_json)


def _purge(mount: Mount, tenant_id: str, partner: str | None, *, ask: bool, quiet: bool) -> None:
    """Remove a tenant; the API answers nothing, and so does JSON."""
    tenant = find_tenant(mount, tenant_id, partner)
    if ask:
        name, owner = format_cell(tenant.client_name), format_cell(tenant.partner_id)
        click.confirm(f"Purge {name} of {owner} ({tenant.id}) for good?", abort=True, err=True)
    gone = change_tenant(mount, tenant.id, tenant.partner_id, lifecycle.purge)
    if not quiet:
        print_text(
            f"{tenant.id} is purged." if gone else f"{tenant.id} will be: `tenants provisioning` shows how far it is."
        )


STEP_COLUMNS = ("name", "state", "attempts", "next_attempt_at", "error")


@click.command("provisioning", help="Show how far the provisioning of the tenant with the id TENANT has come.")
@tenant_options
def provisioning(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    _print_provisioning(read_provisioning(mount, partner, parse_tenant_id(tenant)), as_json=as_json)


@click.command("retry", help="Try again what failed or was cancelled for the tenant with the id TENANT.")
@tenant_options
def retry(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    load_allowance(mount)
    work = partial(actions.retry, hooks=mount.hooks, license=mount.license)
    _print_provisioning(_change_provisioning(mount, tenant, partner, work), as_json=as_json)


@click.command("cancel", help="Stop the provisioning of the tenant with the id TENANT, and take back what was done.")
@tenant_options
def cancel(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    _print_provisioning(
        _change_provisioning(mount, tenant, partner, partial(actions.cancel, hooks=mount.hooks)), as_json=as_json
    )


def _change_provisioning(mount: Mount, tenant_id: str, partner: str | None, work: Any) -> dict[str, Any]:
    """What `work` makes of the provisioning, done by the operator; of a tenant that is being purged too."""
    wanted = parse_tenant_id(tenant_id)

    def unit(session: Any) -> dict[str, Any]:
        owner = load_tenant_in_any_state(session, partner, wanted).partner_id
        found: dict[str, Any] = work(session, make_operator(owner), Target(owner, wanted))
        return found

    return mount.storage.transaction(unit)


def read_provisioning(mount: Mount, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """The provisioning of a tenant, its errors with the reasons that partners do not read. Raises `TenantNotFound`."""
    document = mount.storage.read(partial(actions.read_progress, partner=partner, tenant_id=tenant_id))
    reasons = mount.storage.read(partial(actions.read_error_reasons, partner=partner, tenant_id=tenant_id))
    steps = [
        {**step, "error": {**step["error"], "reason": reasons.get(step["name"])}} if step["error"] else step
        for step in document["steps"]
    ]
    return {**document, "steps": steps}


def format_step_error(step: dict[str, Any]) -> str:
    """Why a step failed, on a line: the class of its exception, and its words or the message for partners."""
    error = step["error"]
    return f"{step['name']}: {error['class']}: {error.get('reason') or error['message']}"


def _print_provisioning(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    failures = [format_step_error(step) for step in document["steps"] if step["error"]]
    steps = [{**step, "error": step["error"] and step["error"]["class"]} for step in document.pop("steps")]
    print_text("\n".join(format_fields(document, get_terminal_width())))
    if steps:
        print_text("\n" + "\n".join(Table(STEP_COLUMNS, get_terminal_width()).lines(steps)))
    if failures:
        print_text("\n" + "\n".join(map(escape_control_characters, failures)))
