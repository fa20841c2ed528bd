"""`flask provisioning run`: another command of the host, for one tenant."""

from __future__ import annotations

import click
from flask import current_app
from flask.cli import FlaskGroup, with_appcontext

from ..isolation.context import open_scope
from ..isolation.directory import look_up
from ..isolation.refusals import TenantRefused, TenantsUnreachable
from .options import TEXT, find_mount, mount_option


@click.command("run", help="Run a command of the app for one tenant: `run --tenant ID -- send-invoices --all`.")
@click.option("--tenant", "tenant_id", required=True, type=TEXT, help="Id of the tenant.")
@click.option("--any-status", is_flag=True, help="Also for a tenant that is not active.")
@mount_option
@click.argument("command", nargs=-1, required=True, type=TEXT)
@click.pass_context
@with_appcontext
def run(
    context: click.Context, tenant_id: str, any_status: bool, mount_name: str | None, command: tuple[str, ...]
) -> None:
    """Run a command in the context of a tenant. Its exit status is that of the command."""
    mount, root = find_mount(mount_name), context.find_root()
    name, *arguments = command
    group = root.command if isinstance(root.command, FlaskGroup) else current_app.cli
    found = group.get_command(root, name)
    if found is None:
        raise click.UsageError(f"The app has no command {name!r}.")
    try:
        tenant = look_up(mount.name, tenant_id, any_status=any_status)
    except TenantsUnreachable as error:
        raise click.ClickException("The database does not answer: `doctor` shows why.") from error
    except TenantRefused as refusal:
        advice = "" if refusal.status is None else f" It is {refusal.status}: --any-status runs the command anyway."
        raise click.ClickException(f"{refusal.reason}{advice}") from refusal
    with open_scope(mount.name, tenant), found.make_context(name, arguments, parent=root) as child:
        found.invoke(child)
