"""``tenants create`` and ``tenants update``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click
from flask.cli import with_appcontext

from ...tenants import actions
from ...tenants.inputs import load_patch, load_tenant
from ...tenants.queries import create_query
from ...web.validation import load_parameters
from ..mounts import chosen_mount, mount_option
from ..operator import operator
from ..output import json_option
from ..problems import told
from .options import TEXT, field_options, on_one_tenant, own_values, sent
from .working import allowance, changed, say_tenant

_METADATA = "metadata."


@click.command("create", help="Create a tenant; client name and email are required.")
@click.option("--partner", type=TEXT, required=True, help="Whose tenant it is to be.")
@field_options
@json_option
@mount_option
@with_appcontext
def create(partner: str, own: dict[str, str], as_json: bool, mount: str | None, **fields: Any) -> None:
    chosen = chosen_mount(mount)
    body = {**sent(fields), **own_values(chosen, own)}
    with told():
        owner = load_parameters(create_query(), {"partner": [partner]})["partner"]
        values = load_tenant(chosen, body)
        allowed = allowance(chosen, owner)
        work = partial(actions.create, actor=operator(owner), partner=owner, values=values, allowance=allowed)
        say_tenant(chosen, chosen.storage.transaction(work), as_json=as_json)


@click.command("update", help="Change fields of the tenant with the id TENANT; the others stay.")
@field_options
@click.option(
    "--unset",
    type=TEXT,
    multiple=True,
    metavar="FIELD",
    help="Empty this field, or remove the key metadata.KEY; several times for several.",
)
@on_one_tenant
def update(
    tenant: str,
    partner: str | None,
    own: dict[str, str],
    unset: tuple[str, ...],
    as_json: bool,
    mount: str | None,
    **fields: Any,
) -> None:
    chosen = chosen_mount(mount)
    body = _patch({**sent(fields), **own_values(chosen, own)}, unset)
    with told():
        work = partial(actions.revise, change=load_patch(chosen, body))
        say_tenant(chosen, changed(chosen, tenant, partner, work), as_json=as_json)


def _patch(fields: dict[str, Any], unset: tuple[str, ...]) -> dict[str, Any]:
    """The merge patch (RFC 7396) that gives `fields` and takes away `unset`."""
    for name in unset:
        inside = name.startswith(_METADATA)
        into = fields.setdefault("metadata", {}) if inside else fields
        key = name.removeprefix(_METADATA) if inside else name.replace("-", "_")
        if into is None or key in into:
            raise click.BadParameter(f"{name} is named twice.", param_hint="--unset")
        into[key] = None
    if not fields:
        raise click.UsageError("Name a field to change.")
    return fields
