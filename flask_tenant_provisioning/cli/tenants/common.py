"""What the commands about tenants share: options for fields, and the actions that the routes call."""

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
from ...tenants.models import Tenant
from ...tenants.mutations import Target
from ...tenants.routes import parse_tenant_id
from ..options import TEXT, make_operator, parse_pairs, resource_options
from ..output import print_document

F = TypeVar("F", bound=Callable[..., Any])


def require_custom_fields(mount: Mount, given: dict[str, str], option: str) -> dict[str, str]:
    """`given`, which may name fields of the app's own alone. Raises `click.BadParameter`."""
    own = mount.hooks.fields
    names = list(own.fields) if own else []
    if strangers := [name for name in given if name not in names]:
        there = f"there is {', '.join(names)}" if names else "there is none"
        raise click.BadParameter(f"{strangers[0]!r} is no field of the app's own; {there}.", param_hint=option)
    return given


def parse_custom_fields(mount: Mount, given: dict[str, str]) -> dict[str, Any]:
    """The JSON for values of the app's own fields.

    A field that is a text, a date or the like takes the value as it stands; any other takes JSON where it is JSON.
    """
    fields = mount.hooks.fields.fields if mount.hooks.fields else {}
    return {
        name: text_to_json(fields[name], text) for name, text in require_custom_fields(mount, given, "--set").items()
    }


def field_options(command: F) -> F:
    """An option for each field of a tenant that a client may write."""
    for option in reversed(
        (
            click.option("--client-name", type=TEXT, help="The tenant's name."),
            click.option("--email", type=TEXT, help="Its address, unique among the partner's tenants."),
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
                help="A key of its metadata; several times for several.",
            ),
            click.option(
                "--set",
                "own",
                type=TEXT,
                multiple=True,
                callback=parse_pairs,
                metavar="FIELD=VALUE",
                help="One of the app's own fields, as JSON unless it is a text; several times for several.",
            ),
        )
    ):
        command = option(command)
    return command


tenant_options = resource_options("tenant")
T = TypeVar("T")


def find_tenant(mount: Mount, tenant_id: str, partner: str | None) -> Tenant:
    """The tenant with this id, of `partner` or of anybody. Raises `TenantNotFound`."""
    wanted = parse_tenant_id(tenant_id)
    return mount.storage.read(lambda session: mutations.load_tenant(session, partner, wanted))


def change_tenant(mount: Mount, tenant_id: str, partner: str | None, work: Callable[[Session, Actor, Target], T]) -> T:
    """What `work` makes of the tenant, done by the operator on behalf of its partner, in one transaction."""
    wanted = parse_tenant_id(tenant_id)

    def unit(session: Session) -> T:
        owner = mutations.load_tenant(session, partner, wanted).partner_id
        return work(session, make_operator(owner), Target(owner, wanted))

    return mount.storage.transaction(unit)


def load_allowance(mount: Mount, partner: str | None = None) -> quotas.Allowance:
    """What lets a tenant come into being here, of `partner` where that is named.

    Raises `LicenseExpired` where the API would not be mounted.
    """
    if mount.config.edition == "community":
        raise LicenseExpired("PROVISIONING_EDITION is 'community': nothing can be provisioned.")
    try:
        mount.license.load()
    except LicenseError as error:
        raise LicenseExpired(str(error)) from error
    return quotas.resolve_allowance(mount, partner)


def print_tenant(mount: Mount, tenant: Tenant, *, as_json: bool) -> None:
    """Print a tenant, as the API shows it."""
    print_document(tenant.document(mount.hooks.fields), as_json=as_json)
