"""`tenants list`, `show`, `create` and `update`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ...database.session import Session
from ...encoding import escape_control_characters
from ...tenants import actions, listing
from ...tenants.schemas import CreateQuery, ListQuery, validate_patch, validate_tenant
from ...validation import load_parameters
from ..options import TEXT, build_body, find_mount, json_option, make_operator, mount_option, parse_pairs
from ..output import iter_pages, print_pages, print_text
from .common import (
    change_tenant,
    field_options,
    find_tenant,
    load_allowance,
    parse_custom_fields,
    print_tenant,
    require_custom_fields,
    tenant_options,
)
from .lifecycle import format_step_error, read_provisioning

TENANT_COLUMNS = ("tenant", "client_name", "partner", "status", "email")


@click.command("list", help="List tenants. Those of every partner, unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only those of this partner.")
@click.option("--status", type=TEXT, help="Only tenants with this status.")
@click.option("--email", type=TEXT, help="Only tenants with this email address.")
@click.option("--external-id", type=TEXT, help="Only tenants with this external id.")
@click.option("--q", type=TEXT, help="Only tenants whose name begins with this text.")
@click.option(
    "--where",
    type=TEXT,
    multiple=True,
    callback=parse_pairs,
    metavar="FIELD=VALUE",
    help="Only tenants with this value of one of the app's own fields; can be repeated.",
)
@click.option("--include-deleted", is_flag=True, help="Include deleted tenants.")
@click.option("--sort", type=TEXT, help="created_at (default) or client_name; a leading minus reverses the order.")
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="Maximum number to list; 0 for all."
)
@json_option
@mount_option
@with_appcontext
def list_tenants(
    limit: int,
    include_deleted: bool,
    where: dict[str, str],
    as_json: bool,
    mount_name: str | None,
    **filters: str | None,
) -> None:
    if include_deleted:
        filters["include_deleted"] = "true"
    mount = find_mount(mount_name)
    filters.update(require_custom_fields(mount, where, "--where"))
    parameters = {name: [text] for name, text in filters.items() if text is not None}
    query = load_parameters(mount.schema(ListQuery), parameters)

    def read_page(session: Session, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        return listing.load_page(session, query.get("partner"), {**query, "limit": limit}, after)

    print_pages(iter_pages(mount.storage, read_page, dict, limit), TENANT_COLUMNS, "tenants", as_json=as_json)


@click.command("show", help="Show the tenant TENANT.")
@tenant_options
def show(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    loaded = find_tenant(mount, tenant, partner)
    print_tenant(mount, loaded, as_json=as_json)
    if loaded.status == "failed" and not as_json:
        steps = read_provisioning(mount, loaded.partner_id, loaded.id)["steps"]
        for line in [format_step_error(step) for step in steps if step["error"]]:
            print_text(f"failed: {escape_control_characters(line)}", err=True)


_METADATA_PREFIX = "metadata."


@click.command("create", help="Create a tenant. --client-name and --email are required.")
@click.option("--partner", type=TEXT, required=True, help="The partner that it belongs to.")
@field_options
@json_option
@mount_option
@with_appcontext
def create(partner: str, custom_fields: dict[str, str], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    body = {**build_body(fields), **parse_custom_fields(mount, custom_fields)}
    owner = load_parameters(CreateQuery(), {"partner": [partner]})["partner"]
    values = validate_tenant(mount, body)
    allowance = load_allowance(mount, owner)
    action = partial(actions.create, actor=make_operator(owner), partner=owner, values=values, allowance=allowance)
    print_tenant(mount, mount.storage.transaction(action), as_json=as_json)


@click.command("update", help="Change fields of the tenant TENANT. Other fields stay as they are.")
@field_options
@click.option(
    "--unset",
    type=TEXT,
    multiple=True,
    metavar="FIELD",
    help="Clear this field, or remove the key metadata.KEY; can be repeated.",
)
@tenant_options
def update(
    tenant: str,
    partner: str | None,
    custom_fields: dict[str, str],
    unset: tuple[str, ...],
    as_json: bool,
    mount_name: str | None,
    **fields: Any,
) -> None:
    mount = find_mount(mount_name)
    body = _build_patch({**build_body(fields), **parse_custom_fields(mount, custom_fields)}, unset)
    action = partial(actions.update, change=validate_patch(mount, body))
    print_tenant(mount, change_tenant(mount, tenant, partner, action), as_json=as_json)


def _build_patch(fields: dict[str, Any], unset: tuple[str, ...]) -> dict[str, Any]:
    """Return the merge patch (RFC 7396) that sets `fields` and clears `unset`."""
    for name in unset:
        if name.startswith(_METADATA_PREFIX):
            target, key = fields.setdefault("metadata", {}), name.removeprefix(_METADATA_PREFIX)
        else:
            target, key = fields, name.replace("-", "_")
        if target is None or key in target:
            raise click.BadParameter(f"{name} is named twice.", param_hint="--unset")
        target[key] = None
    if not fields:
        raise click.UsageError("Name a field to change.")
    return fields
