"""The operation of a row: validated before the transaction, then the same as the single call that it stands for."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from marshmallow import ValidationError

from ...access.principal import Actor
from ...database.session import Session
from ...errors import Fault, ProvisioningError, TenantNotFound
from ...events.schemas import TenantIdField
from ...mount import Api
from ...tenants import actions, lifecycle
from ...tenants.custom_field_checks import ROW_IDEMPOTENCY_KEY
from ...tenants.fields import make_email_key
from ...tenants.models import Tenant
from ...tenants.mutations import Target, Transition
from ...tenants.quotas import Allowance, RemainingPlaces
from ...tenants.schemas import SuspensionSchema, validate_patch, validate_tenant
from ...validation import REQUIRED, StrictSchema, TextField, load, make_entry, make_invalid_input, run_all
from ...web.idempotency import MAX_KEY_LENGTH, is_valid_key, make_fingerprint
from ..models import Job
from ..results import RowResult, make_failure
from .parsing import Row

Body = Mapping[str, Any]
MISSING_IDENTIFIER = Fault("required", "A row names its tenant by `tenant` or by `external_id`.")


class RowContext(NamedTuple):
    """The context of all rows of one transaction: who acts, for which partner, and what is allowed.

    `room` holds the places that are left for new tenants, and stands in the `allowance` too. `firsts` are the tenants
    that rows done in it have meant, each with the first such row.
    """

    api: Api
    actor: Actor
    partner: str
    allowance: Allowance
    room: RemainingPlaces
    firsts: dict[str, int]


DecideTransition = Callable[[Tenant, float], Transition]
#: Does one row by itself in a transaction; returns the status that the single call answers, and the tenant.
ExecuteSingle = Callable[[Session, RowContext], tuple[int, Tenant]]


def _keep_unchanged(tenant: Tenant, _now: float) -> Transition:
    return Transition("tenant.updated", tenant, tenant)


class RowAction(NamedTuple):
    """What a row does: `alone`, as the single call, or as `plan` says what becomes of the tenant at a time.

    `named` is how the row means its tenant, by `id`, `external_id` or both; `wanted` is what it wants to be that
    tenant's only. `values` are those of the tenant that it makes where there is none.
    """

    alone: ExecuteSingle
    named: Mapping[str, str] = MappingProxyType({})
    wanted: Mapping[str, str] = MappingProxyType({})
    plan: DecideTransition = _keep_unchanged
    values: Body | None = None


class _RowIdentitySchema(StrictSchema):
    """Which tenant a row means."""

    tenant = TenantIdField()
    external_id = TextField(min_length=1, max_length=128)


class _SuspensionRowSchema(_RowIdentitySchema, SuspensionSchema):
    """The same, and why it is suspended."""


def parse_action(api: Api, operation: str, body: Body) -> RowAction:
    """What a row of `operation` does. Raises `InvalidInput` that lists everything wrong with it."""
    return _PARSERS[operation](api, body)


def _parse_create(api: Api, body: Body) -> RowAction:
    values = validate_tenant(api, body)
    wanted = {"email_key": values["email_key"]}
    if values.get("external_id") is not None:
        wanted["external_id"] = values["external_id"]

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        return 201, actions.create(session, setting.actor, setting.partner, values, setting.allowance)

    return RowAction(alone, wanted=wanted, values=values)


def _parse_upsert(api: Api, body: Body) -> RowAction:
    if body.get("external_id") is None:
        run_all(partial(validate_tenant, api, body), partial(_refuse, REQUIRED, "external_id"))
    values = validate_tenant(api, body)
    whole, own = {**actions.EMPTY_VALUES, **values}, api.hooks.fields

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        tenant, new = actions.upsert(
            session, setting.actor, setting.partner, values, setting.allowance, lambda _version: None
        )
        return (201 if new else 200), tenant

    def plan(tenant: Tenant, _now: float) -> Transition:
        return actions.make_update(own, tenant, whole)

    named = {"external_id": values["external_id"]}
    return RowAction(alone, named, {"email_key": values["email_key"]}, plan, values)


def _parse_update(api: Api, body: Body) -> RowAction:
    by = "tenant" if "tenant" in body else "external_id"
    sent = {name: body[name] for name in (by,) if name in body}
    rest = {name: value for name, value in body.items() if name != by}
    both: list[Any] = run_all(partial(_load_identified_row, _ROW_IDENTITY, sent), partial(validate_patch, api, rest))
    named, change, own = _extract_identifiers(both[0]), both[1], api.hooks.fields

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        return 200, actions.update(session, setting.actor, _resolve_target(session, setting, named), change)

    def plan(tenant: Tenant, _now: float) -> Transition:
        actions.require_changeable(tenant)
        return actions.make_update(own, tenant, change(tenant))

    return RowAction(alone, named, _extract_claims(rest), plan)


def _parse_suspend(_api: Api, body: Body) -> RowAction:
    found = _load_identified_row(_SUSPENSION, body)
    named, reason = _extract_identifiers(found), found.get("reason")

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.suspend(session, setting.actor, _resolve_target(session, setting, named), reason)

    return RowAction(alone, named, plan=lambda tenant, _now: lifecycle.make_suspension(tenant, reason))


def _parse_reactivate(_api: Api, body: Body) -> RowAction:
    named = _extract_identifiers(_load_identified_row(_ROW_IDENTITY, body))

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.reactivate(session, setting.actor, _resolve_target(session, setting, named))

    return RowAction(alone, named, plan=lambda tenant, _now: lifecycle.make_reactivation(tenant))


def _parse_delete(api: Api, body: Body) -> RowAction:
    named, days = _extract_identifiers(_load_identified_row(_ROW_IDENTITY, body)), api.config.retention_days

    def alone(session: Session, setting: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.delete(
            session, setting.actor, _resolve_target(session, setting, named), days, counts=False
        )

    return RowAction(alone, named, plan=lambda tenant, now: lifecycle.make_deletion(tenant, now, days))


def _extract_claims(patch: Body) -> dict[str, str]:
    """What a patch wants for its tenant alone, as far as it is valid."""
    found = {name: patch[name] for name in ("external_id",) if isinstance(patch.get(name), str)}
    if isinstance(patch.get("email"), str):
        with contextlib.suppress(ValidationError):
            found["email_key"] = make_email_key(patch["email"])
    return found


def _load_identified_row(schema: StrictSchema, body: Body) -> dict[str, Any]:
    """Return what a row says, its tenant too. Raises `InvalidInput` that lists everything wrong with it."""
    if body.keys() & {"tenant", "external_id"}:
        return load(schema, body)
    run_all(partial(load, schema, body), partial(_refuse, MISSING_IDENTIFIER))
    raise AssertionError("a row that names no tenant is refused")


def _refuse(fault: Fault, *path: str) -> NoReturn:
    raise make_invalid_input([make_entry(fault, *path)])


def _extract_identifiers(found: Body) -> Mapping[str, str]:
    """Return how the row means its tenant."""
    names = {"id": found.get("tenant"), "external_id": found.get("external_id")}
    return {name: str(value) for name, value in names.items() if value is not None}


def _resolve_target(session: Session, setting: RowContext, named: Mapping[str, str]) -> Target:
    """The tenant that the row means; where it names both, they must be the same one's. Raises `TenantNotFound`."""
    if "external_id" not in named:
        return Target(setting.partner, named["id"])
    found = actions.lock_living_tenant(session, setting.partner, named["external_id"])
    if found is None or named.get("id", found.id) != found.id:
        raise TenantNotFound
    return Target(setting.partner, found.id)


_ROW_IDENTITY, _SUSPENSION = _RowIdentitySchema(), _SuspensionRowSchema()
_PARSERS: Mapping[str, Callable[[Api, Body], RowAction]] = {
    "create": _parse_create,
    "upsert": _parse_upsert,
    "update": _parse_update,
    "suspend": _parse_suspend,
    "reactivate": _parse_reactivate,
    "delete": _parse_delete,
}
INVALID_KEY = Fault("invalid-idempotency-key", f"Must have 1 to {MAX_KEY_LENGTH} printable ASCII characters.")


class RowIdempotencyKey(NamedTuple):
    """The key of a row, and what tells that row from another."""

    key: str
    fingerprint: str


def parse_row_key(operation: str, body: Mapping[str, Any], rest: Mapping[str, Any]) -> RowIdempotencyKey | None:
    """The key of a row that has a member for one, and is told from others by the `rest` of it.

    Returns None where that member is null. Raises `InvalidInput` where it is no key.
    """
    key = body[ROW_IDEMPOTENCY_KEY]
    if key is None:
        return None
    if not is_valid_key(key):
        raise make_invalid_input([make_entry(INVALID_KEY, ROW_IDEMPOTENCY_KEY)])
    return RowIdempotencyKey(key, make_fingerprint(operation, rest))


logger = logging.getLogger(__name__)


class ValidatedRow(NamedTuple):
    """A row, and the `act` that it is to do; None where it meets a `problem`.

    What is done under its `key`, where it has one, is done once. Of the `row` nothing is kept but its external id.
    """

    row: Row
    act: RowAction | None = None
    problem: ProvisioningError | None = None
    key: RowIdempotencyKey | None = None

    def refused(self, error: ProvisioningError) -> RowResult:
        """The result where it meets `error`."""
        return make_failure(self.row.number, self.row.line, self.row.external_id, error)


def validate_row(api: Api, job: Job, row: Row) -> ValidatedRow:
    """Look at a row as far as that needs no database."""
    named = row._replace(body={} if row.external_id is None else {"external_id": row.external_id})
    if row.problem is not None:
        return ValidatedRow(named, problem=_strip_traceback(row.problem))
    try:
        if ROW_IDEMPOTENCY_KEY not in row.body:
            return ValidatedRow(named, parse_action(api, job.operation, row.body))
        rest = {name: value for name, value in row.body.items() if name != ROW_IDEMPOTENCY_KEY}
        both: list[Any] = run_all(
            partial(parse_row_key, job.operation, row.body, rest), partial(parse_action, api, job.operation, rest)
        )
        return ValidatedRow(named, both[1], key=both[0])
    except ProvisioningError as error:
        return ValidatedRow(named, problem=_strip_traceback(error))
    except Exception:
        extra = {"job": job.id, "partner": job.partner_id, "row": row.number}
        logger.exception("row %d of bulk job %s failed", row.number, job.id, extra=extra)
        return ValidatedRow(named, problem=ProvisioningError())


def _strip_traceback(error: ProvisioningError) -> ProvisioningError:
    """The error without the frames in which it was raised: they hold the whole row, and many errors are kept."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


RowStrategy = Callable[[Session, RowContext, Job, Sequence[ValidatedRow]], list[RowResult]]
