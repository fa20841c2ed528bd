"""What a row of each operation does: the same as the single call that it stands for."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from marshmallow import ValidationError

from ..access import Actor
from ..database import Session
from ..events.schemas import TenantIdField
from ..problems import Fault, TenantNotFound
from ..tenants import actions, lifecycle
from ..tenants.changes import Target
from ..tenants.fields import email_key
from ..tenants.inputs import load_patch, load_tenant
from ..tenants.models import Tenant
from ..tenants.room import Room
from ..tenants.schemas import SuspensionSchema
from ..tenants.transition import Transition
from ..tenants.usage import Allowance
from ..web.api import Api
from ..web.validation import REQUIRED, StrictSchema, TextField, entry, invalid, load, together

Body = Mapping[str, Any]

UNIDENTIFIED = Fault("required", "A row names its tenant by `tenant` or by `external_id`.")


class Setting(NamedTuple):
    """The context of all rows of one transaction: who acts, for which partner, and what is allowed.

    `room` holds the places that are left for new tenants, and stands in the `allowance` too. `firsts` are the tenants
    that rows done in it have meant, each with the first such row.
    """

    api: Api
    actor: Actor
    partner: str
    allowance: Allowance
    room: Room
    firsts: dict[str, int]


Plan = Callable[[Tenant, float], Transition]
#: Does one row by itself in a transaction; returns the status that the single call answers, and the tenant.
Alone = Callable[[Session, Setting], tuple[int, Tenant]]


def _stays(tenant: Tenant, _now: float) -> Transition:
    return Transition("tenant.updated", tenant, tenant)


class Act(NamedTuple):
    """What a row does: `alone`, as the single call, or as `plan` says what becomes of the tenant at a time.

    `named` is how the row means its tenant, by `id`, `external_id` or both; `wanted` is what it wants to be that
    tenant's only. `values` are those of the tenant that it makes where there is none.
    """

    alone: Alone
    named: Mapping[str, str] = MappingProxyType({})
    wanted: Mapping[str, str] = MappingProxyType({})
    plan: Plan = _stays
    values: Body | None = None


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
    wanted = {"email_key": values["email_key"]}
    if values.get("external_id") is not None:
        wanted["external_id"] = values["external_id"]

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 201, actions.create(session, setting.actor, setting.partner, values, setting.allowance)

    return Act(alone, wanted=wanted, values=values)


def _upserted(api: Api, body: Body) -> Act:
    if body.get("external_id") is None:
        together(partial(load_tenant, api, body), partial(_refuse, REQUIRED, "external_id"))
    values = load_tenant(api, body)
    whole, own = {**actions.EMPTY, **values}, api.hooks.fields

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        tenant, new = actions.upsert(
            session, setting.actor, setting.partner, values, setting.allowance, lambda _version: None
        )
        return (201 if new else 200), tenant

    def plan(tenant: Tenant, _now: float) -> Transition:
        return actions.revision(own, tenant, whole)

    named = {"external_id": values["external_id"]}
    return Act(alone, named, {"email_key": values["email_key"]}, plan, values)


def _updated(api: Api, body: Body) -> Act:
    by = "tenant" if "tenant" in body else "external_id"
    sent = {name: body[name] for name in (by,) if name in body}
    rest = {name: value for name, value in body.items() if name != by}
    both: list[Any] = together(partial(_named, _NAMED, sent), partial(load_patch, api, rest))
    named, change, own = _names(both[0]), both[1], api.hooks.fields

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, actions.revise(session, setting.actor, _target(session, setting, named), change)

    def plan(tenant: Tenant, _now: float) -> Transition:
        actions.require_changeable(tenant)
        return actions.revision(own, tenant, change(tenant))

    return Act(alone, named, _wanted(rest), plan)


def _suspended(_api: Api, body: Body) -> Act:
    found = _named(_SUSPENSION, body)
    named, reason = _names(found), found.get("reason")

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, lifecycle.suspend(session, setting.actor, _target(session, setting, named), reason)

    return Act(alone, named, plan=lambda tenant, _now: lifecycle.suspension(tenant, reason))


def _reactivated(_api: Api, body: Body) -> Act:
    named = _names(_named(_NAMED, body))

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, lifecycle.reactivate(session, setting.actor, _target(session, setting, named))

    return Act(alone, named, plan=lambda tenant, _now: lifecycle.reactivation(tenant))


def _deleted(api: Api, body: Body) -> Act:
    named, days = _names(_named(_NAMED, body)), api.settings.retention_days

    def alone(session: Session, setting: Setting) -> tuple[int, Tenant]:
        return 200, lifecycle.delete(session, setting.actor, _target(session, setting, named), days, counts=False)

    return Act(alone, named, plan=lambda tenant, now: lifecycle.deletion(tenant, now, days))


def _wanted(patch: Body) -> dict[str, str]:
    """What a patch wants for its tenant alone, as far as it is valid."""
    found = {name: patch[name] for name in ("external_id",) if isinstance(patch.get(name), str)}
    if isinstance(patch.get("email"), str):
        with contextlib.suppress(ValidationError):
            found["email_key"] = email_key(patch["email"])
    return found


def _named(schema: StrictSchema, body: Body) -> dict[str, Any]:
    """Return what a row says, its tenant too. Raises `InvalidInput` that lists everything wrong with it."""
    if body.keys() & {"tenant", "external_id"}:
        return load(schema, body)
    together(partial(load, schema, body), partial(_refuse, UNIDENTIFIED))
    raise AssertionError("a row that names no tenant is refused")


def _refuse(fault: Fault, *path: str) -> NoReturn:
    raise invalid([entry(fault, *path)])


def _names(found: Body) -> Mapping[str, str]:
    """Return how the row means its tenant."""
    names = {"id": found.get("tenant"), "external_id": found.get("external_id")}
    return {name: str(value) for name, value in names.items() if value is not None}


def _target(session: Session, setting: Setting, named: Mapping[str, str]) -> Target:
    """The tenant that the row means; where it names both, they must be the same one's. Raises `TenantNotFound`."""
    if "external_id" not in named:
        return Target(setting.partner, named["id"])
    found = actions.living(session, setting.partner, named["external_id"])
    if found is None or named.get("id", found.id) != found.id:
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
