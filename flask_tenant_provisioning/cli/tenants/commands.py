"""`tenants list`, `show`, `create` and `update`."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ...database.session import Session
from ...encoding import escape_control_characters
from ...tenants import actions, listing
from ...tenants.schemas import create_query, list_query, validate_patch, validate_tenant
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


@click.command("list", help="List tenants, of every partner unless --partner names one.")
@click.option("--partner", type=TEXT, help="Only this partner's.")
@click.option("--status", type=TEXT, help="Only those with this status.")
@click.option("--email", type=TEXT, help="Only those with this address.")
@click.option("--external-id", type=TEXT, help="Only those with this external id.")
@click.option("--q", type=TEXT, help="Only those whose name begins so.")
@click.option(
    "--where",
    type=TEXT,
    multiple=True,
    callback=parse_pairs,
    metavar="FIELD=VALUE",
    help="Only those with this value of one of the app's own fields; several times for several.",
)
@click.option("--include-deleted", is_flag=True, help="Deleted ones too.")
@click.option("--sort", type=TEXT, help="created_at (default) or client_name; with a minus before it, backwards.")
@click.option("--limit", type=click.IntRange(0), default=50, show_default=True, help="How many at most; 0: all.")
@json_option
@mount_option
@with_appcontext
def list_tenants(
    limit: int,
    include_deleted: bool,
    where: dict[str, str],
    as_json: bool,
    mount_name: str | None,
    **asked: str | None,
) -> None:
    if include_deleted:
        asked["include_deleted"] = "true"
    mount = find_mount(mount_name)
    given = {**asked, **require_custom_fields(mount, where, "--where")}
    wanted = load_parameters(list_query(mount), {name: [text] for name, text in given.items() if text is not None})

    def work(session: Session, limit: int, after: str | None) -> tuple[list[dict[str, Any]], str | None]:
        return listing.load_page(session, wanted.get("partner"), {**wanted, "limit": limit}, after)

    print_pages(iter_pages(mount.storage, work, dict, limit), TENANT_COLUMNS, "tenants", as_json=as_json)


@click.command("show", help="Show the tenant with the id TENANT.")
@tenant_options
def show(tenant: str, partner: str | None, as_json: bool, mount_name: str | None) -> None:
    mount = find_mount(mount_name)
    shown = find_tenant(mount, tenant, partner)
    print_tenant(mount, shown, as_json=as_json)
    if shown.status == "failed" and not as_json:
        steps = read_provisioning(mount, shown.partner_id, shown.id)["steps"]
        for line in [format_step_error(step) for step in steps if step["error"]]:
            print_text(f"failed: {escape_control_characters(line)}", err=True)


_METADATA_PREFIX = "metadata."


@click.command("create", help="Create a tenant; client name and email are required.")
@click.option("--partner", type=TEXT, required=True, help="Whose tenant it is to be.")
@field_options
@json_option
@mount_option
@with_appcontext
def create(partner: str, own: dict[str, str], as_json: bool, mount_name: str | None, **fields: Any) -> None:
    mount = find_mount(mount_name)
    body = {**build_body(fields), **parse_custom_fields(mount, own)}
    owner = load_parameters(create_query(), {"partner": [partner]})["partner"]
    values = validate_tenant(mount, body)
    allowed = load_allowance(mount, owner)
    work = partial(actions.create, actor=make_operator(owner), partner=owner, values=values, allowance=allowed)
    print_tenant(mount, mount.storage.transaction(work), as_json=as_json)


@click.command("update", help="Change fields of the tenant with the id TENANT; the others stay.")
@field_options
@click.option(
    "--unset",
    type=TEXT,
    multiple=True,
    metavar="FIELD",
    help="Empty this field, or remove the key metadata.KEY; several times for several.",
)
@tenant_options
def update(
    tenant: str,
    partner: str | None,
    own: dict[str, str],
    unset: tuple[str, ...],
    as_json: bool,
    mount_name: str | None,
    **fields: Any,
) -> None:
    mount = find_mount(mount_name)
    body = _build_patch({**build_body(fields), **parse_custom_fields(mount, own)}, unset)
    work = partial(actions.update, change=validate_patch(mount, body))
    print_tenant(mount, change_tenant(mount, tenant, partner, work), as_json=as_json)


def _build_patch(fields: dict[str, Any], unset: tuple[str, ...]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that gives `fields` and takes away `unset`."""
    for name in unset:
        inside = name.startswith(_METADATA_PREFIX)
        into = fields.setdefault("metadata", {}) if inside else fields
        key = name.removeprefix(_METADATA_PREFIX) if inside else name.replace("-", "_")
        if into is None or key in into:
            raise click.BadParameter(f"{name} is named twice.", param_hint="--unset")
        into[key] = None
    if not fields:
        raise click.UsageError("Name a field to change.")
    return fields
