"""What a row of each operation does: the same as the single call that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access import Actor
from ..database import Session
from ..events.schemas import TenantIdField
from ..problems import Fault, TenantNotFound
from ..tenants import actions, lifecycle
from ..tenants.changes import Target
from ..tenants.inputs import load_patch, load_tenant
from ..tenants.models import Tenant
from ..tenants.schemas import SuspensionSchema
from ..tenants.usage import Allowance
from ..web.api import Api
from ..web.validation import REQUIRED, StrictSchema, TextField, entry, invalid, load

Body = Mapping[str, Any]

UNIDENTIFIED = Fault("required", "A row names its tenant by `tenant` or by `external_id`.")


class Setting(NamedTuple):
    """What rows are done with: in whose name, for which partner, and what is allowed."""

    api: Api
    actor: Actor
    partner: str
    allowance: Allowance


#: Does one row in a transaction; returns the status that the single call answers, and the tenant.
Act = Callable[[Session, Setting], tuple[int, Tenant]]


class _NamedSchema(StrictSchema):
    """Which tenant a row means."""

    tenant = TenantIdField()
    external_id = TextField(shortest=1, longest=128)


class _SuspensionRowSchema(_NamedSchema, SuspensionSchema):
    """The same, and why it is suspended."""


def act_of(api: Api, operation: str, body: Body) -> Act:
    """What a row of `operation` does. Raises `InvalidInput` that lists everything wrong with it."""
    return _OPERATIONS[operation](api, body)


def _created(api: Api, body: Body) -> Act:
    values = load_tenant(api, body)

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 201, actions.create(session, setting.actor, setting.partner, values, setting.allowance)

    return act


def _upserted(api: Api, body: Body) -> Act:
    if body.get("external_id") is None:
        raise invalid([entry(REQUIRED, "external_id")])
    values = load_tenant(api, body)

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        tenant, new = actions.upsert(
            session, setting.actor, setting.partner, values, setting.allowance, lambda _version: None
        )
        return (201 if new else 200), tenant

    return act


def _updated(api: Api, body: Body) -> Act:
    named, rest = _split(body)
    change = load_patch(api, rest)

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, actions.revise(session, setting.actor, _target(session, setting, named), change)

    return act


def _suspended(_api: Api, body: Body) -> Act:
    named = load(_SUSPENSION, body)
    _require_name(named)

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        target = _target(session, setting, named)
        return 200, lifecycle.suspend(session, setting.actor, target, named.get("reason"))

    return act


def _reactivated(_api: Api, body: Body) -> Act:
    named = _named(body)

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, lifecycle.reactivate(session, setting.actor, _target(session, setting, named))

    return act


def _deleted(api: Api, body: Body) -> Act:
    named, days = _named(body), api.settings.retention_days

    def act(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, lifecycle.delete(session, setting.actor, _target(session, setting, named), days)

    return act


def _split(body: Body) -> tuple[Body, Body]:
    """Which tenant an update means, and the patch: an `external_id` beside `tenant` is part of the patch."""
    by = "tenant" if "tenant" in body else "external_id"
    named = _named({name: body[name] for name in (by,) if name in body})
    return named, {name: value for name, value in body.items() if name != by}


def _named(body: Body) -> Body:
    found = load(_NAMED, body)
    _require_name(found)
    return found


def _require_name(named: Body) -> None:
    if "tenant" not in named and "external_id" not in named:
        raise invalid([entry(UNIDENTIFIED)])


def _target(session: Session, setting: Setting, named: Body) -> Target:
    """The tenant that the row means; where it names both, they must be the same one's. Raises `TenantNotFound`."""
    if "external_id" not in named:
        return Target(setting.partner, str(named["tenant"]))
    found = actions.living(session, setting.partner, named["external_id"])
    if found is None or str(named.get("tenant", found.id)) != found.id:
        raise TenantNotFound
    return Target(setting.partner, found.id)


_NAMED, _SUSPENSION = _NamedSchema(), _SuspensionRowSchema()
_OPERATIONS: Mapping[str, Callable[[Api, Body], Act]] = {
    "create": _created,
    "upsert": _upserted,
    "update": _updated,
    "suspend": _suspended,
    "reactivate": _reactivated,
    "delete": _deleted,
}
