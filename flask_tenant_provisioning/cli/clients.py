"""`flask provisioning clients`: API clients, their secrets and their tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

import click
from flask.cli import with_appcontext

from ..access.principal import Actor
from ..clients import actions
from ..clients.actions import ClientWithSecret, Target
from ..clients.models import PRIVATE_KEY_JWT, Client, render_client
from ..clients.routes import parse_client_id
from ..clients.schemas import DEFAULT_OVERLAP_SECONDS, PartnerClientRotationSchema, PartnerClientSchema, validate_client
from ..database.session import Session
from ..encoding import parse_json
from ..mount import Mount
from ..tenants.schemas import CreateQuery
from ..validation import load, load_parameters
from .options import TEXT, build_body, find_mount, json_option, make_operator, mount_option, resource_options
from .output import format_cell, iter_pages, print_document, print_pages, print_text

CLIENT_COLUMNS = ("client", "partner", "name", "status", "authentication", "expires_at", "last_used_at")


@click.group("clients", help="Manage API clients, their secrets and their tokens.")
def client_commands() -> None:
    """Group of the commands."""


@client_commands.command("list", help="List API clients. Those of every partner, unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only those of this partner.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@json_option
@mount_option
@with_appcontext
def list_clients(partner: str | None, limit: int, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    pages = iter_pages(mount.storage, partial(actions.list_clients, partner=partner), render_client, limit)
    print_pages(pages, CLIENT_COLUMNS, "clients", as_json=as_json)


@client_commands.command("show", help="Show the API client CLIENT.")
@resource_options("client")
def show(client: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    print_document(render_client(_load_client(find_mount(mount_name), client, partner)), as_json=as_json)


@client_commands.command("create", help="Create an API client. Its secret is shown only once.")
@click.option("--partner", type=TEXT, required=True, help="The partner that it belongs to.")
@click.option("--name", type=TEXT, required=True, help="What it is for.")
@click.option(
    "--permission",
    "permissions",
    type=TEXT,
    multiple=True,
    required=True,
    metavar="NAME",
    help="A permission of its tokens; can be repeated.",
)
@click.option("--expires-at", type=TEXT, help="A time such as 2027-01-01T00:00:00Z; never by default.")
@click.option(
    "--network",
    "networks",
    type=TEXT,
    multiple=True,
    metavar="CIDR",
    help="A network in which its tokens may be used; anywhere by default, can be repeated.",
)
@click.option("--jwks", type=click.File("rb"), help="A file with its public keys (a JWKS); it then has no secret.")
@click.option("--jwks-url", type=TEXT, help="The URL of its public keys instead.")
@json_option
@mount_option
@with_appcontext
def create(
    partner: str,
    permissions: tuple[str, ...],
    networks: tuple[str, ...],
    jwks: BinaryIO | None,
    jwks_url: str | None,
    as_json: bool,
    mount_name: str | None,
    **fields: Any,
) -> None:
    mount = find_mount(mount_name)
    owner = load_parameters(CreateQuery(), {"partner": [partner]})["partner"]
    has_key = jwks is not None or jwks_url is not None
    keys = {"jwks": jwks and parse_json(jwks.read()), "jwks_url": jwks_url}
    authentication = PRIVATE_KEY_JWT if has_key else None
    lists = {"permissions": list(permissions), "networks": list(networks)}
    body = build_body({**fields, **lists, **keys, "authentication": authentication})
    values = validate_client(mount.url_refusal, mount.schema(PartnerClientSchema), body, partial=False)
    action = partial(
        actions.create_client,
        actor=_make_operator(mount, owner),
        partner=owner,
        values=values,
        limit=mount.config.client_limit,
    )
    _print_with_secret(mount.storage.transaction(action), as_json=as_json)


@client_commands.command("enable", help="Enable the API client CLIENT.")
@resource_options("client")
def enable(client: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _change(client, partner, mount_name, partial(actions.update_client, values={"status": "enabled"}), as_json)


@client_commands.command("disable", help="Disable the API client CLIENT. All its tokens end.")
@resource_options("client")
def disable(client: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _change(client, partner, mount_name, partial(actions.update_client, values={"status": "disabled"}), as_json)


@client_commands.command("revoke-tokens", help="End all tokens of the API client CLIENT. It can get new ones.")
@resource_options("client")
def revoke_tokens(client: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    _change(client, partner, mount_name, actions.revoke_tokens, as_json)


@client_commands.command(
    "rotate-secret", help="Create a new secret for the API client CLIENT. The secret is shown only once."
)
@click.option(
    "--overlap-seconds",
    type=int,
    default=DEFAULT_OVERLAP_SECONDS,
    show_default=True,
    help="Seconds during which the old secret is valid too; 2592000 at most. 0 ends all tokens.",
)
@resource_options("client")
def rotate_secret(
    client: str, partner: str | None, overlap_seconds: int, as_json: bool, mount_name: str | None
) -> None:
    mount = find_mount(mount_name)
    seconds = load(PartnerClientRotationSchema(), {"overlap_seconds": overlap_seconds})["overlap_seconds"]
    action = partial(actions.rotate_secret, overlap_seconds=seconds)
    _print_with_secret(_run(mount, _load_client(mount, client, partner), action), as_json=as_json)


@client_commands.command("delete", help="Delete the API client CLIENT. All its tokens end.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@resource_options("client")
def delete(client: str, partner: str | None, yes: bool, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    loaded = _load_client(mount, client, partner)
    if not yes:
        name, owner = format_cell(loaded.name), format_cell(loaded.partner_id)
        click.confirm(f"Delete the client {name} of {owner} and end its tokens?", abort=True, err=True)
    _run(mount, loaded, actions.delete_client)
    if not as_json:
        print_text(f"Deleted the client {loaded.client_id}.")


def _load_client(mount: Mount, client: str, partner: str | None) -> Client:
    """Return the client; `partner` limits the search. Raises `ClientNotFound`."""
    return mount.storage.read(partial(actions.load_client, partner=partner, client_id=parse_client_id(client)))


def _change(
    client: str,
    partner: str | None,
    mount_name: str | None,
    action: Callable[[Session, Actor, Target], Client],
    as_json: bool,
) -> None:
    """Run an action on a client and print the changed client."""
    mount = find_mount(mount_name)
    changed = _run(mount, _load_client(mount, client, partner), action)
    print_document(render_client(changed), as_json=as_json)


def _run(mount: Mount, client: Client, action: Callable[..., Any]) -> Any:
    """Run an action on a client in a transaction, as the operator."""
    actor, target = _make_operator(mount, client.partner_id), Target(client.partner_id, client.client_id)
    return mount.storage.transaction(partial(action, actor=actor, target=target))


def _make_operator(mount: Mount, partner: str) -> Actor:
    """Return the operator with every permission, the host's own included: a client gets none that its maker lacks."""
    return make_operator(partner, mount.registry.list_permissions())


def _print_with_secret(result: ClientWithSecret, *, as_json: bool) -> None:
    print_document({**render_client(result.client), "secret": result.secret}, as_json=as_json)
