"""Create, update and upsert tenants. Each public function is one unit of work."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..access.principal import Actor
from ..database.errors import StaleRead, UniqueViolation
from ..database.ids import format_instant
from ..database.session import Session
from ..encoding import dump_json
from ..errors import InvalidState, TenantExists
from ..events.actions import build_event
from ..registry import TenantFields
from .custom_fields import replace_custom_fields
from .models import WRITABLE, Tenant, get_unique_field
from .mutations import (
    Target,
    Transition,
    apply_transition,
    explain_conflict,
    load_tenant as load_tenant,
    lock_tenant,
    make_conflict,
    require_unique,
    run_reactions,
)
from .plans import require_plan_change
from .quotas import Allowance
from .statements import TenantSQL

Values = Mapping[str, Any]
#: What a field is where nothing is said of it.
EMPTY_VALUES: Values = {
    "external_id": None,
    "phone_number": None,
    "industry": None,
    "plan": None,
    "metadata": {},
    "fields": {},
}


def create(
    session: Session,
    actor: Actor,
    partner: str,
    values: Values,
    allowance: Allowance,
    expected: Callable[[], None] = lambda: None,
) -> Tenant:
    """Create a tenant of `partner` with valid `values`, and its event.

    Raises `TenantExists`, `LicenseExpired`, `PlanNotAllowed`, `QuotaExceeded`, and what `expected` raises.
    """
    allowance.take(session, values.get("plan"))
    expected()
    storage, own = session.storage, session.storage.hooks.fields
    status = "provisioning" if storage.is_deferred(session, "tenant.create") else "active"
    tenant = build_tenant(
        storage.new_id(), partner, {**EMPTY_VALUES, **values}, format_instant(storage.clock()), status
    )
    hidden = {"name_key": values["name_key"], "email_key": values["email_key"], "status_before": None, "live": 1}
    happened = build_event(storage, actor, "tenant.created", partner, tenant.document(own), tenant.created_at)
    try:
        made = storage.once(TenantSQL).create.run(session, tenant._asdict() | hidden, happened)
    except UniqueViolation as violation:
        raise make_conflict(get_unique_field(violation.constraint)) from violation
    if not made:
        raise explain_conflict(session, partner, values)
    session.events.append(happened)
    run_reactions(session, actor, "tenant.created", None, tenant)
    return tenant


def update(session: Session, actor: Actor, target: Target, change: Callable[[Tenant], Values]) -> Tenant:
    """Give a tenant the values that `change` makes of it; the same values change nothing and leave no event.

    Raises `TenantNotFound`, `InvalidState` for a deleted one, `TenantExists`, `PlanNotAllowed`, `PlanLimitExceeded`,
    and what `change` and `expected` raise.
    """
    before = lock_tenant(session, target)
    require_changeable(before)
    return _apply_update(session, actor, before, change(before), target.expected)


def upsert(
    session: Session,
    actor: Actor,
    partner: str,
    values: Values,
    allowance: Allowance,
    expected: Callable[[int | None], None],
) -> tuple[Tenant, bool]:
    """Bring the partner's living tenant with this external id to `values`, creating it where there is none.

    Returns the tenant, and whether it was created. Raises what `create` and `revise` raise.
    """
    before = lock_living_tenant(session, partner, values["external_id"])
    if before:
        return _apply_update(session, actor, before, {**EMPTY_VALUES, **values}, expected), False
    try:
        return create(session, actor, partner, values, allowance, partial(expected, None)), True
    except TenantExists as error:
        if error.members["field"] == "external_id" or lock_living_tenant(session, partner, values["external_id"]):
            raise StaleRead("somebody else created it meanwhile") from error
        raise


def lock_living_tenant(session: Session, partner: str, external_id: str) -> Tenant | None:
    """The partner's living tenant with this external id, locked against other writers."""
    where = {"partner_id": partner, "external_id": external_id}
    row = session.run(session.storage.once(TenantSQL).lock_external, where).fetchone()
    return Tenant._make(row) if row else None


def require_changeable(tenant: Tenant) -> None:
    """Raise `InvalidState` for a deleted tenant."""
    if tenant.status == "deleted":
        raise InvalidState("A deleted tenant cannot be changed.", tenant_status=tenant.status)


def make_update(own: TenantFields | None, before: Tenant, values: Values) -> Transition:
    """What valid `values`, some or a whole set of them, make of a tenant whose host has its `own` fields."""
    after = before._replace(**{name: values[name] for name in WRITABLE if name in values and name != "metadata"})
    if "metadata" in values and values["metadata"] != json.loads(before.metadata):
        after = after._replace(metadata=dump_json(values["metadata"]))
    if "fields" in values:
        after = after._replace(fields=replace_custom_fields(own, before.fields, values["fields"]))
    return Transition("tenant.updated", before, after, _collect_changed_keys(before, after, values))


def _apply_update(
    session: Session, actor: Actor, before: Tenant, values: Values, expected: Callable[[int], None]
) -> Tenant:
    found = make_update(session.storage.hooks.fields, before, values)
    require_plan_change(session, before, found.after, partial(expected, before.version))
    require_unique(session, before, found.claims())
    return apply_transition(session, actor, *found)


def _collect_changed_keys(before: Tenant, after: Tenant, values: Values) -> Values:
    """What the fields that changed are compared by."""
    sources = {"name_key": "client_name", "email_key": "email"}
    return {key: values[key] for key, field in sources.items() if getattr(before, field) != getattr(after, field)}


def build_tenant(tenant_id: str, partner: str, values: Values, at: str, status: str) -> Tenant:
    """A tenant of `partner` with these values, a whole set of them, as it is at the instant `at`."""
    return Tenant(
        id=tenant_id,
        partner_id=partner,
        external_id=values["external_id"],
        client_name=values["client_name"],
        email=values["email"],
        phone_number=values["phone_number"],
        industry=values["industry"],
        plan=values["plan"],
        metadata=dump_json(values["metadata"]),
        status=status,
        suspended_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        deleted_at=None,
        purge_at=None,
        fields=dump_json(values["fields"]) if values["fields"] else None,
    )
