"""Row operations: each row is validated before the transaction, then executed like the equivalent single call."""

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
from ...tenants.models import EMPTY_VALUES, Tenant
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

    `quota` holds the places left for new tenants; `allowance` refers to the same object. `first_rows` maps tenant ids
    to the first row of this transaction that refers to them.
    """

    api: Api
    actor: Actor
    partner: str
    allowance: Allowance
    quota: RemainingPlaces
    first_rows: dict[str, int]


DecideTransition = Callable[[Tenant, float], Transition]
#: Makes the single call in a transaction. Returns the HTTP status of that call, and the tenant.
ExecuteSingle = Callable[[Session, RowContext], tuple[int, Tenant]]


def _keep_unchanged(tenant: Tenant, _now: float) -> Transition:
    return Transition("tenant.updated", tenant, tenant)


class RowAction(NamedTuple):
    """A validated row, in two forms: `execute_single` makes the single call, `decide` returns the tenant's transition.

    `identifiers` find the row's tenant by `id`, `external_id` or both; `unique_keys` are those that the row sets.
    `values` are those of a new tenant, None if the row creates none.
    """

    execute_single: ExecuteSingle
    identifiers: Mapping[str, str] = MappingProxyType({})
    unique_keys: Mapping[str, str] = MappingProxyType({})
    decide: DecideTransition = _keep_unchanged
    values: Body | None = None


class _RowIdentitySchema(StrictSchema):
    """The identifiers of a row's tenant."""

    tenant = TenantIdField()
    external_id = TextField(min_length=1, max_length=128)


class _SuspensionRowSchema(_RowIdentitySchema, SuspensionSchema):
    """The identifiers of a row's tenant, and the reason of its suspension."""


def _parse_create(api: Api, body: Body) -> RowAction:
    values = validate_tenant(api, body)
    unique_keys = {"email_key": values["email_key"]}
    if values.get("external_id") is not None:
        unique_keys["external_id"] = values["external_id"]

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        return 201, actions.create(session, context.actor, context.partner, values, context.allowance)

    return RowAction(execute_single, unique_keys=unique_keys, values=values)


def _parse_upsert(api: Api, body: Body) -> RowAction:
    if body.get("external_id") is None:
        run_all(partial(validate_tenant, api, body), partial(_refuse, REQUIRED, "external_id"))
    values = validate_tenant(api, body)
    complete, custom_fields = {**EMPTY_VALUES, **values}, api.registry.fields

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        tenant, is_new = actions.upsert(
            session, context.actor, context.partner, values, context.allowance, lambda _version: None
        )
        return (201 if is_new else 200), tenant

    def decide(tenant: Tenant, _now: float) -> Transition:
        return actions.make_update(custom_fields, tenant, complete)

    identifiers = {"external_id": values["external_id"]}
    return RowAction(execute_single, identifiers, {"email_key": values["email_key"]}, decide, values)


def _parse_update(api: Api, body: Body) -> RowAction:
    identifier = "tenant" if "tenant" in body else "external_id"
    identity = {name: value for name, value in body.items() if name == identifier}
    patch = {name: value for name, value in body.items() if name != identifier}
    parsed: list[Any] = run_all(
        partial(_load_identified_row, _ROW_IDENTITY, identity), partial(validate_patch, api, patch)
    )
    identifiers, change, custom_fields = _extract_identifiers(parsed[0]), parsed[1], api.registry.fields

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        return 200, actions.update(session, context.actor, _resolve_target(session, context, identifiers), change)

    def decide(tenant: Tenant, _now: float) -> Transition:
        actions.require_changeable(tenant)
        return actions.make_update(custom_fields, tenant, change(tenant))

    return RowAction(execute_single, identifiers, _extract_unique_keys(patch), decide)


def _parse_suspend(_api: Api, body: Body) -> RowAction:
    document = _load_identified_row(_SUSPENSION, body)
    identifiers, reason = _extract_identifiers(document), document.get("reason")

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.suspend(session, context.actor, _resolve_target(session, context, identifiers), reason)

    return RowAction(execute_single, identifiers, decide=lambda tenant, _now: lifecycle.make_suspension(tenant, reason))


def _parse_reactivate(_api: Api, body: Body) -> RowAction:
    identifiers = _extract_identifiers(_load_identified_row(_ROW_IDENTITY, body))

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.reactivate(session, context.actor, _resolve_target(session, context, identifiers))

    return RowAction(execute_single, identifiers, decide=lambda tenant, _now: lifecycle.make_reactivation(tenant))


def _parse_delete(api: Api, body: Body) -> RowAction:
    identifiers, days = _extract_identifiers(_load_identified_row(_ROW_IDENTITY, body)), api.config.retention_days

    def execute_single(session: Session, context: RowContext) -> tuple[int, Tenant]:
        return 200, lifecycle.delete(
            session, context.actor, _resolve_target(session, context, identifiers), days, counts=False
        )

    return RowAction(execute_single, identifiers, decide=lambda tenant, now: lifecycle.make_deletion(tenant, now, days))


def _extract_unique_keys(patch: Body) -> dict[str, str]:
    """Return the unique keys that a patch sets, as far as they are valid."""
    unique_keys = {name: patch[name] for name in ("external_id",) if isinstance(patch.get(name), str)}
    if isinstance(patch.get("email"), str):
        with contextlib.suppress(ValidationError):
            unique_keys["email_key"] = make_email_key(patch["email"])
    return unique_keys


def _load_identified_row(schema: StrictSchema, body: Body) -> dict[str, Any]:
    """Validate a row that must name its tenant. Raises `InvalidInput` that lists all its errors."""
    if body.keys() & {"tenant", "external_id"}:
        return load(schema, body)
    run_all(partial(load, schema, body), partial(_refuse, MISSING_IDENTIFIER))
    raise AssertionError("unreachable: run_all raises the missing identifier")


def _refuse(fault: Fault, *path: str) -> NoReturn:
    raise make_invalid_input([make_entry(fault, *path)])


def _extract_identifiers(document: Body) -> Mapping[str, str]:
    """Return the identifiers of the row's tenant."""
    names = {"id": document.get("tenant"), "external_id": document.get("external_id")}
    return {name: str(value) for name, value in names.items() if value is not None}


def _resolve_target(session: Session, context: RowContext, identifiers: Mapping[str, str]) -> Target:
    """Return the row's tenant. Raises `TenantNotFound`, also if its two identifiers belong to different tenants."""
    if "external_id" not in identifiers:
        return Target(context.partner, identifiers["id"])
    tenant = actions.lock_living_tenant(session, context.partner, identifiers["external_id"])
    if tenant is None or identifiers.get("id", tenant.id) != tenant.id:
        raise TenantNotFound
    return Target(context.partner, tenant.id)


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
    """The idempotency key of a row, and the fingerprint of its content."""

    key: str
    fingerprint: str


def parse_row_key(operation: str, body: Mapping[str, Any], content: Mapping[str, Any]) -> RowIdempotencyKey | None:
    """Return the idempotency key of a row, whose fingerprint covers `content`, or None if it is null.

    Raises `InvalidInput` if it is invalid.
    """
    key = body[ROW_IDEMPOTENCY_KEY]
    if key is None:
        return None
    if not is_valid_key(key):
        raise make_invalid_input([make_entry(INVALID_KEY, ROW_IDEMPOTENCY_KEY)])
    return RowIdempotencyKey(key, make_fingerprint(operation, content))


logger = logging.getLogger(__name__)


class ValidatedRow(NamedTuple):
    """A row with its `action`, or None and the `problem` that it failed with.

    `number` and `line` are its place in the upload, from 1. Of its body only the `external_id` is kept. A row with an
    `idempotency_key` takes effect once.
    """

    number: int
    line: int
    external_id: str | None
    action: RowAction | None = None
    problem: ProvisioningError | None = None
    idempotency_key: RowIdempotencyKey | None = None

    def fail(self, error: ProvisioningError) -> RowResult:
        """Return the result of this row failing with `error`."""
        return make_failure(self.number, self.line, self.external_id, error)


def validate_row(api: Api, job: Job, row: Row) -> ValidatedRow:
    """Validate a row without the database."""
    number, line, body, problem = row
    external_id, parse = row.external_id, _PARSERS[job.operation]
    if problem is not None:
        return ValidatedRow(number, line, external_id, None, _strip_traceback(problem))
    try:
        if ROW_IDEMPOTENCY_KEY not in body:
            return ValidatedRow(number, line, external_id, parse(api, body))
        content = {name: value for name, value in body.items() if name != ROW_IDEMPOTENCY_KEY}
        parsed: list[Any] = run_all(partial(parse_row_key, job.operation, body, content), partial(parse, api, content))
        return ValidatedRow(number, line, external_id, parsed[1], idempotency_key=parsed[0])
    except ProvisioningError as error:
        return ValidatedRow(number, line, external_id, None, _strip_traceback(error))
    except Exception:
        extra = {"job": job.id, "partner": job.partner_id, "row": number}
        logger.exception("row %d of bulk job %s failed", number, job.id, extra=extra)
        return ValidatedRow(number, line, external_id, None, ProvisioningError())


def _strip_traceback(error: ProvisioningError) -> ProvisioningError:
    """Return the error without its traceback, whose frames hold the whole row: many errors are kept."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


RowStrategy = Callable[[Session, RowContext, Job, Sequence[ValidatedRow]], list[RowResult]]
