"""Create, read, change and replace tenants. Each public function is one unit of work, wherever it is called from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ..access import Actor
from ..database import Outdated, Session, UniqueViolation, instant
from ..events import compact, event
from ..hooks import TenantFields
from ..problems import InvalidState, TenantExists
from .changes import Target, apply, locked, react, read as read
from .conflicts import already_there, refuse_taken, taken
from .models import WRITABLE, Tenant, claimed_field
from .own_fields import stored
from .plans import require_change
from .statements import TenantSQL
from .transition import Transition
from .usage import Allowance

Values = Mapping[str, Any]

#: What a field is where nothing is said of it.
EMPTY: Values = {
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
    status = "provisioning" if storage.defers(session, "tenant.create") else "active"
    tenant = new(storage.new_id(), partner, {**EMPTY, **values}, instant(storage.clock()), status)
    hidden = {"name_key": values["name_key"], "email_key": values["email_key"], "status_before": None, "live": 1}
    happened = event(storage, actor, "tenant.created", partner, tenant.document(own), tenant.created_at)
    try:
        made = storage.once(TenantSQL).create.run(session, tenant._asdict() | hidden, happened)
    except UniqueViolation as violation:
        raise taken(claimed_field(violation.constraint)) from violation
    if not made:
        raise already_there(session, partner, values)
    session.recorded.append(happened)
    react(session, actor, "tenant.created", None, tenant)
    return tenant


def revise(session: Session, actor: Actor, target: Target, change: Callable[[Tenant], Values]) -> Tenant:
    """Give a tenant the values that `change` makes of it; the same values change nothing and leave no event.

    Raises `TenantNotFound`, `InvalidState` for a deleted one, `TenantExists`, `PlanNotAllowed`, `PlanLimitExceeded`,
    and what `change` and `expected` raise.
    """
    before = locked(session, target)
    require_changeable(before)
    return _revised(session, actor, before, change(before), target.expected)


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
    before = living(session, partner, values["external_id"])
    if before:
        return _revised(session, actor, before, {**EMPTY, **values}, expected), False
    try:
        return create(session, actor, partner, values, allowance, partial(expected, None)), True
    except TenantExists as error:
        if error.members["field"] == "external_id" or living(session, partner, values["external_id"]):
            raise Outdated("somebody else created it meanwhile") from error
        raise


def living(session: Session, partner: str, external_id: str) -> Tenant | None:
    """The partner's living tenant with this external id, locked against other writers."""
    where = {"partner_id": partner, "external_id": external_id}
    row = session.run(session.storage.once(TenantSQL).lock_external, where).fetchone()
    return Tenant._make(row) if row else None


def require_changeable(tenant: Tenant) -> None:
    """Raise `InvalidState` for a deleted tenant."""
    if tenant.status == "deleted":
        raise InvalidState("A deleted tenant cannot be changed.", tenant_status=tenant.status)


def revision(own: TenantFields | None, before: Tenant, values: Values) -> Transition:
    """What valid `values`, some or a whole set of them, make of a tenant whose host has its `own` fields."""
    after = before._replace(**{name: values[name] for name in WRITABLE if name in values and name != "metadata"})
    if "metadata" in values and values["metadata"] != json.loads(before.metadata):
        after = after._replace(metadata=compact(values["metadata"]))
    if "fields" in values:
        after = after._replace(fields=stored(own, before.fields, values["fields"]))
    return Transition("tenant.updated", before, after, _keys(before, after, values))


def _revised(session: Session, actor: Actor, before: Tenant, values: Values, expected: Callable[[int], None]) -> Tenant:
    found = revision(session.storage.hooks.fields, before, values)
    require_change(session, before, found.after, partial(expected, before.version))
    refuse_taken(session, before, found.claims())
    return apply(session, actor, *found)


def _keys(before: Tenant, after: Tenant, values: Values) -> Values:
    """What the fields that changed are compared by."""
    sources = {"name_key": "client_name", "email_key": "email"}
    return {key: values[key] for key, field in sources.items() if getattr(before, field) != getattr(after, field)}


def new(tenant_id: str, partner: str, values: Values, at: str, status: str) -> Tenant:
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
        metadata=compact(values["metadata"]),
        status=status,
        suspended_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        deleted_at=None,
        purge_at=None,
        fields=compact(values["fields"]) if values["fields"] else None,
    )
