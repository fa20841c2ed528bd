"""How the commands about tenants reach the actions that the routes call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ...access import Actor
from ...database import Session
from ...licensing import LicenseError
from ...problems import LicenseExpired
from ...tenants import actions, usage
from ...tenants.changes import Target
from ...tenants.models import Tenant
from ...tenants.requests import tenant_named
from ...web.mount import Mount
from ..operator import operator
from ..output import say_one

T = TypeVar("T")


def found(mount: Mount, tenant_id: str, partner: str | None) -> Tenant:
    """The tenant with this id, of `partner` or of anybody. Raises `TenantNotFound`."""
    wanted = tenant_named(tenant_id)
    return mount.storage.read(lambda session: actions.read(session, partner, wanted))


def changed(mount: Mount, tenant_id: str, partner: str | None, work: Callable[[Session, Actor, Target], T]) -> T:
    """What `work` makes of the tenant, done by the operator on behalf of its partner, in one transaction."""
    wanted = tenant_named(tenant_id)

    def unit(session: Session) -> T:
        owner = actions.read(session, partner, wanted).partner_id
        return work(session, operator(owner), Target(owner, wanted))

    return mount.storage.transaction(unit)


def allowance(mount: Mount, partner: str | None = None) -> usage.Allowance:
    """What lets a tenant come into being here, of `partner` where that is named.

    Raises `LicenseExpired` where the API would not be mounted.
    """
    if mount.settings.edition == "community":
        raise LicenseExpired("PROVISIONING_EDITION is 'community': nothing can be provisioned.")
    try:
        mount.license.load()
    except LicenseError as error:
        raise LicenseExpired(str(error)) from error
    return usage.allowance(mount, partner)


def say_tenant(mount: Mount, tenant: Tenant, *, as_json: bool) -> None:
    """Print a tenant, as the API shows it."""
    say_one(tenant.document(mount.hooks.fields), as_json=as_json)
