"""Shared by the commands on tenants: options for fields, and the actions that the routes call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ...access.principal import Actor
from ...database.session import Session
from ...errors import LicenseExpired
from ...licensing.document import LicenseError
from ...mount import Mount
from ...tenants import mutations, quotas
from ...tenants.custom_fields import text_to_json
from ...tenants.models import Tenant, render_tenant_document
from ...tenants.mutations import Target
from ...tenants.routes import parse_tenant_id
from ..options import TEXT, make_operator, parse_pairs, resource_options
from ..output import print_document

F = TypeVar("F", bound=Callable[..., Any])


def require_custom_fields(mount: Mount, values: dict[str, str], option: str) -> dict[str, str]:
    """Return `values`. Raises `click.BadParameter` for `option` if a name is not one of the app's own fields."""
    custom_fields = mount.registry.fields
    names = list(custom_fields.fields) if custom_fields else []
    unknown = [name for name in values if name not in names]
    if unknown:
        existing = f"it has {', '.join(names)}" if names else "it has none"
        raise click.BadParameter(f"{unknown[0]!r} is not one of the app's own fields; {existing}.", param_hint=option)
    return values


def parse_custom_fields(mount: Mount, values: dict[str, str]) -> dict[str, Any]:
    """Return the JSON values of the app's own fields.

    A field that is a string in JSON, such as a text or a date, takes the value as it is. Other fields parse it as JSON.
    """
    fields = mount.registry.fields.fields if mount.registry.fields else {}
    require_custom_fields(mount, values, "--set")
    return {name: text_to_json(fields[name], text) for name, text in values.items()}


def field_options(command: F) -> F:
    """Add an option for each field of a tenant that a client may write."""
    for option in reversed(
        (
            click.option("--client-name", type=TEXT, help="The tenant's name."),
            click.option("--email", type=TEXT, help="Its email address, unique among the partner's tenants."),
            click.option("--phone-number", type=TEXT, help="Its telephone number."),
            click.option("--industry", type=TEXT, help="Its industry."),
            click.option("--plan", type=TEXT, help="Its plan."),
            click.option("--external-id", type=TEXT, help="The partner's own id for it."),
            click.option(
                "--metadata",
                type=TEXT,
                multiple=True,
                callback=parse_pairs,
                metavar="KEY=VALUE",
                help="A key of its metadata; can be repeated.",
            ),
            click.option(
                "--set",
                "custom_fields",
                type=TEXT,
                multiple=True,
                callback=parse_pairs,
                metavar="FIELD=VALUE",
                help="Set one of the app's own fields, as JSON unless it is a text; can be repeated.",
            ),
        )
    ):
        command = option(command)
    return command


tenant_options = resource_options("tenant")
T = TypeVar("T")


def find_tenant(mount: Mount, tenant_id: str, partner: str | None) -> Tenant:
    """Return the tenant with this id; `partner` limits the search. Raises `TenantNotFound`."""
    parsed_id = parse_tenant_id(tenant_id)
    return mount.storage.read(lambda session: mutations.load_tenant(session, partner, parsed_id))


def change_tenant(
    mount: Mount, tenant_id: str, partner: str | None, action: Callable[[Session, Actor, Target], T]
) -> T:
    """Run `action` on the tenant as the operator, on behalf of its partner, in one transaction; return its result."""
    parsed_id = parse_tenant_id(tenant_id)

    def run(session: Session) -> T:
        owner = mutations.load_tenant(session, partner, parsed_id).partner_id
        return action(session, make_operator(owner), Target(owner, parsed_id))

    return mount.storage.transaction(run)


def load_allowance(mount: Mount, partner: str | None = None) -> quotas.Allowance:
    """Return the quotas under which a tenant may be created, of `partner` too if it is named.

    Raises `LicenseExpired` if no licence would let the API be mounted.
    """
    if mount.config.edition == "community":
        raise LicenseExpired("PROVISIONING_EDITION is 'community': nothing can be provisioned.")
    try:
        mount.license.load()
    except LicenseError as error:
        raise LicenseExpired(str(error)) from error
    return quotas.resolve_allowance(mount, partner)


def print_tenant(mount: Mount, tenant: Tenant, *, as_json: bool) -> None:
    """Print a tenant as the API returns it."""
    print_document(render_tenant_document(tenant, mount.registry.fields), as_json=as_json)
