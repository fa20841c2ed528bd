"""``tenants provisioning | retry | cancel``."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from ...steps import actions
from ...tenants.changes import Target, whereabouts
from ...tenants.requests import tenant_named
from ...web.mount import Mount
from ..mounts import chosen_mount
from ..operator import operator
from ..output import Table, described, room, say, say_json
from ..problems import told
from ..text import printable
from .options import on_one_tenant
from .working import allowance

COLUMNS = ("name", "state", "attempts", "next_attempt_at", "error")


@click.command("provisioning", help="Show how far the provisioning of the tenant with the id TENANT has come.")
@on_one_tenant
def provisioning(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        _say(explained(chosen, partner, tenant_named(tenant)), as_json=as_json)


@click.command("retry", help="Try again what failed or was cancelled for the tenant with the id TENANT.")
@on_one_tenant
def retry(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        allowance(chosen)
        work = partial(actions.retry, hooks=chosen.hooks, license=chosen.license)
        _say(_moved(chosen, tenant, partner, work), as_json=as_json)


@click.command("cancel", help="Stop the provisioning of the tenant with the id TENANT, and take back what was done.")
@on_one_tenant
def cancel(tenant: str, partner: str | None, as_json: bool, mount: str | None) -> None:
    chosen = chosen_mount(mount)
    with told():
        _say(_moved(chosen, tenant, partner, partial(actions.cancel, hooks=chosen.hooks)), as_json=as_json)


def _moved(mount: Mount, tenant_id: str, partner: str | None, work: Any) -> dict[str, Any]:
    """What `work` makes of the provisioning, done by the operator; of a tenant that is being purged too."""
    wanted = tenant_named(tenant_id)

    def unit(session: Any) -> dict[str, Any]:
        owner = whereabouts(session, partner, wanted).partner_id
        found: dict[str, Any] = work(session, operator(owner), Target(owner, wanted))
        return found

    return mount.storage.transaction(unit)


def explained(mount: Mount, partner: str | None, tenant_id: str) -> dict[str, Any]:
    """The provisioning of a tenant, its errors with the reasons that partners do not read. Raises `TenantNotFound`."""
    document = mount.storage.read(partial(actions.read, partner=partner, tenant_id=tenant_id))
    reasons = mount.storage.read(partial(actions.reasons, partner=partner, tenant_id=tenant_id))
    steps = [
        {**step, "error": {**step["error"], "reason": reasons.get(step["name"])}} if step["error"] else step
        for step in document["steps"]
    ]
    return {**document, "steps": steps}


def why(step: dict[str, Any]) -> str:
    """Why a step failed, on a line: the class of its exception, and its words or the message for partners."""
    error = step["error"]
    return f"{step['name']}: {error['class']}: {error.get('reason') or error['message']}"


def _say(document: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(document)
        return
    failures = [why(step) for step in document["steps"] if step["error"]]
    steps = [{**step, "error": step["error"] and step["error"]["class"]} for step in document.pop("steps")]
    say("\n".join(described(document, room())))
    if steps:
        say("\n" + "\n".join(Table(COLUMNS, room()).lines(steps)))
    if failures:
        say("\n" + "\n".join(map(printable, failures)))
