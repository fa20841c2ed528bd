"""`flask provisioning invitations`: the invitations of tenants' administrators."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ..errors import InvitationsUnavailable
from ..invitations import actions
from ..invitations.actions import Target
from ..invitations.models import InvitationRow, render_invitation
from ..invitations.routes import make_rules, parse_invitation_id
from ..invitations.schemas import InvitationListQuery
from ..mount import Mount
from ..tenants.routes import parse_tenant_id
from ..validation import load_parameters
from .options import TEXT, find_mount, make_operator, resource_options
from .output import iter_pages, print_document, print_pages

COLUMNS = ("invitation", "email", "state", "attempts", "sent_at", "expires_at")


@click.command("list", help="List the invitations of the tenant TENANT. The oldest comes first.")
@click.option("--state", type=TEXT, help="Only those in this state, such as sent or failed.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@resource_options("tenant")
def list_invitations(
    tenant: str, partner: str | None, state: str | None, limit: int, as_json: bool, mount_name: str | None
) -> None:
    mount = find_mount(mount_name)
    query = load_parameters(InvitationListQuery(), {} if state is None else {"state": [state]})
    read_page = partial(actions.list_page, partner=partner, tenant_id=parse_tenant_id(tenant), state=query.get("state"))
    render = render_invitation if as_json else _render_line
    print_pages(iter_pages(mount.storage, read_page, render, limit), COLUMNS, "invitations", as_json=as_json)


@click.command("resend", help="Send the invitation INVITATION again. Its new token replaces the one before.")
@resource_options("invitation")
def resend(invitation: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    if mount.registry.invite is None:
        raise InvitationsUnavailable("The app has no function that sends invitations.")
    target = _find_target(mount, invitation, partner)
    action = partial(actions.resend, actor=make_operator(target.partner or ""), rules=make_rules(mount), target=target)
    print_document(render_invitation(mount.storage.transaction(action)), as_json=as_json)


@click.command("revoke", help="Revoke the invitation INVITATION. It cannot be accepted any more.")
@resource_options("invitation")
def revoke(invitation: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    target = _find_target(mount, invitation, partner)
    action = partial(actions.revoke, actor=make_operator(target.partner or ""), target=target)
    print_document(render_invitation(mount.storage.transaction(action)), as_json=as_json)


def _find_target(mount: Mount, invitation: str, partner: str | None) -> Target:
    """Return the invitation's tenant and partner; `partner` limits the search. Raises `InvitationNotFound`."""
    id = parse_invitation_id(invitation)
    row = mount.storage.read(partial(actions.load, partner=partner, tenant_id=None, invitation_id=id))
    return Target(row.partner_id, row.tenant_id, row.id)


def _render_line(row: InvitationRow) -> dict[str, Any]:
    return {**render_invitation(row), "email": row.email}


@click.group("invitations", help="Manage the invitations of tenants' administrators.")
def invitation_commands() -> None:
    """Group of the commands."""


for command in (list_invitations, resend, revoke):
    invitation_commands.add_command(command)
