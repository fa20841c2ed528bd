"""Commands `tenants suspend`, `reactivate`, `restore`, `move`, `delete`, `provisioning`, `retry` and `cancel`."""

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
from ...tenants.schemas import MoveSchema, SuspensionSchema
from ...validation import load
from ..options import TEXT, build_body, find_mount, make_operator
from ..output import format_cell, make_table, print_fields, print_json, print_text
from .common import change_tenant, find_tenant, load_allowance, print_tenant, tenant_options


@click.command("suspend", help="Suspend the active tenant TENANT.")
@click.option("--reason", type=TEXT, help="Reason for the suspension.")
@tenant_options
def suspend(tenant: str, partner: str | None, reason: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    valid_reason = load(SuspensionSchema(), build_body({"reason": reason})).get("reason")
    action = partial(lifecycle.suspend, reason=valid_reason)
    print_tenant(mount, change_tenant(mount, tenant, partner, action), as_json=as_json)


@click.command("reactivate", help="Reactivate the suspended tenant TENANT.")
@tenant_options
def reactivate(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    print_tenant(mount, change_tenant(mount, tenant, partner, lifecycle.reactivate), as_json=as_json)


@click.command("restore", help="Restore the deleted tenant TENANT. It gets its former status back.")
@tenant_options
def restore(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    action = partial(lifecycle.restore, allowance=load_allowance(mount))
    print_tenant(mount, change_tenant(mount, tenant, partner, action), as_json=as_json)


@click.command("move", help="Move the tenant TENANT to another partner.")
@click.option("--to", "receiver", type=TEXT, required=True, help="The partner that receives it.")
@tenant_options
def move(tenant: str, receiver: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    receiver_id = load(MoveSchema(), {"partner": receiver})["partner"]
    action = partial(lifecycle.move, partner=receiver_id)
    print_tenant(mount, change_tenant(mount, tenant, partner, action), as_json=as_json)


@click.command("delete", help="Delete the tenant TENANT. It can be restored until its `purge_at`.")
@click.option("--purge", is_flag=True, help="Remove it permanently, at once.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@tenant_options
def delete(tenant: str, partner: str | None, purge: bool, yes: bool, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    if purge:
        _purge(mount, tenant, partner, needs_confirmation=not yes, quiet=as_json)
        return
    action = partial(lifecycle.delete, retention_days=mount.config.retention_days)
    print_tenant(mount, change_tenant(mount, tenant, partner, action), as_json=as_json)


def _purge(mount: Mount, tenant_id: str, partner: str | None, *, needs_confirmation: bool, quiet: bool) -> None:
    """Purge a tenant. Nothing is printed if `quiet`, as the API returns no body."""
    tenant = find_tenant(mount, tenant_id, partner)
    if needs_confirmation:
        name, owner = format_cell(tenant.client_name), format_cell(tenant.partner_id)
        click.confirm(f"Permanently remove {name} of {owner} ({tenant.id})?", abort=True, err=True)
    is_purged = change_tenant(mount, tenant.id, tenant.partner_id, lifecycle.purge)
    if not quiet:
        text = f"The tenant {tenant.id} is being purged: `tenants provisioning` shows the progress."
        if is_purged:
            text = f"Purged the tenant {tenant.id}."
        print_text(text)


STEP_COLUMNS = ("name", "state", "attempts", "next_attempt_at", "error")


@click.command(
    "provisioning",
    help="Show the provisioning of the tenant TENANT. Shows each step, with the error of those that failed.",
)
@tenant_options
def provisioning(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    _print_provisioning(read_provisioning(mount, partner, parse_tenant_id(tenant)), as_json=as_json)


@click.command(
    "retry", help="Retry the provisioning of the tenant TENANT. Repeats steps that failed or were cancelled."
)
@tenant_options
def retry(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    load_allowance(mount)
    action = partial(actions.retry, registry=mount.registry, license=mount.license)
    _print_provisioning(_change_provisioning(mount, tenant, partner, action), as_json=as_json)


@click.command("cancel", help="Cancel the provisioning of the tenant TENANT. Steps that were done are undone.")
@tenant_options
def cancel(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    action = partial(actions.cancel, registry=mount.registry)
    _print_provisioning(_change_provisioning(mount, tenant, partner, action), as_json=as_json)


def _change_provisioning(mount: Mount, tenant_id: str, partner: str | None, action: Any) -> dict[str, Any]:
    """Run `action` on the provisioning of a tenant as the operator, even while it is purged. Returns its document."""
    parsed_id = parse_tenant_id(tenant_id)

    def run(session: Any) -> dict[str, Any]:
        owner = load_tenant_in_any_state(session, partner, parsed_id).partner_id
        document: dict[str, Any] = action(session, make_operator(owner), Target(owner, parsed_id))
        return document

    return mount.storage.transaction(run)


def read_provisioning(mount: Mount, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """Return the provisioning of a tenant, with the error reasons hidden from partners. Raises `TenantNotFound`."""
    document = mount.storage.read(partial(actions.read_progress, partner=partner, tenant_id=tenant_id))
    reasons = mount.storage.read(partial(actions.read_error_reasons, partner=partner, tenant_id=tenant_id))
    for step in document["steps"]:
        if step["error"]:
            step["error"]["reason"] = reasons.get(step["name"])
    return document


def format_step_error(step: dict[str, Any]) -> str:
    """Format the error of a step: the class of its exception, and its text, or else the message for partners."""
    error = step["error"]
    return f"{step['name']}: {error['class']}: {error.get('reason') or error['message']}"


def _print_provisioning(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    failures = [format_step_error(step) for step in document["steps"] if step["error"]]
    steps = [{**step, "error": step["error"] and step["error"]["class"]} for step in document.pop("steps")]
    print_fields(document)
    if steps:
        print_text("\n" + "\n".join(make_table(STEP_COLUMNS).format_rows(steps)))
    if failures:
        print_text("\n" + "\n".join(map(escape_control_characters, failures)))
