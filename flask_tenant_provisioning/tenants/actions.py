"""Create, update and upsert tenants. What takes a `Session` runs in the caller's unit of work."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from ..access.principal import Actor
from ..database.errors import StaleRead
from ..database.ids import format_instant
from ..database.session import Session
from ..encoding import dump_json
from ..errors import InvalidState, TenantExists
from ..events.actions import build_event
from ..registry import TenantFields
from .custom_fields import replace_custom_fields
from .models import EMPTY_VALUES, WRITABLE, Tenant, Values, build_tenant, render_tenant_document
from .mutations import (
    Target,
    TenantChange,
    Transition,
    apply_transition,
    explain_conflict,
    lock_tenant,
    request_invitations,
    require_unique,
)
from .plans import require_plan_change
from .quotas import Allowance
from .statements import TenantSQL


def create(
    session: Session,
    actor: Actor,
    partner: str,
    values: Values,
    allowance: Allowance,
    check_version: Callable[[], None] = lambda: None,
) -> Tenant:
    """Create a tenant of `partner` from validated `values`, with its event, and return it.

    Raises `TenantExists`, `LicenseExpired`, `PlanNotAllowed`, `QuotaExceeded`, and any error of `check_version`.
    """
    allowance.consume(session, values.get("plan"))
    check_version()
    storage, custom = session.storage, session.storage.registry.fields
    status = "provisioning" if storage.is_deferred(session, "tenant.create") else "active"
    tenant = build_tenant(storage.new_id(), partner, values, format_instant(storage.clock()), status)
    hidden = {"name_key": values["name_key"], "email_key": values["email_key"], "status_before": None, "live": 1}
    event = build_event(
        storage, actor, "tenant.created", partner, render_tenant_document(tenant, custom), tenant.created_at
    )
    if not session.insert_pair(storage.once(TenantSQL).create, tenant._asdict() | hidden, event):
        raise explain_conflict(session, partner, values)
    session.events.append(event)
    session.run_reactions(TenantChange("tenant.create", actor, None, tenant))
    if "admin" in values:
        request_invitations(session, actor, [(tenant, values)])
    return tenant


def update(session: Session, actor: Actor, target: Target, change: Callable[[Tenant], Values]) -> Tenant:
    """Update a tenant to the values that `change` returns for it. Equal values write nothing and record no event.

    Raises `TenantNotFound`, `InvalidState` for a deleted tenant, `TenantExists`, `PlanNotAllowed`,
    `PlanLimitExceeded`, and any error of `change` and of the target's version check.
    """
    before = lock_tenant(session, target)
    require_changeable(before)
    return _apply_update(session, actor, before, change(before), target.check_version)


def upsert(
    session: Session,
    actor: Actor,
    partner: str,
    values: Values,
    allowance: Allowance,
    check_version: Callable[[int | None], None],
) -> tuple[Tenant, bool]:
    """Replace the values of the partner's living tenant with this external id, or create it if there is none.

    Returns the tenant and whether it was created. Raises the errors of `create` and `update`.
    """
    before = lock_living_tenant(session, partner, values["external_id"])
    if before:
        return _apply_update(session, actor, before, {**EMPTY_VALUES, **values}, check_version), False
    try:
        return create(session, actor, partner, values, allowance, partial(check_version, None)), True
    except TenantExists as error:
        if error.members["field"] == "external_id" or lock_living_tenant(session, partner, values["external_id"]):
            raise StaleRead("another request created the tenant") from error
        raise


def lock_living_tenant(session: Session, partner: str, external_id: str) -> Tenant | None:
    """Lock the partner's living tenant with this external id. Return None if there is none."""
    where = {"partner_id": partner, "external_id": external_id}
    row = session.run(session.storage.once(TenantSQL).lock_external, where).fetchone()
    return Tenant._make(row) if row else None


def require_changeable(tenant: Tenant) -> None:
    """Raise `InvalidState` for a deleted tenant."""
    if tenant.status == "deleted":
        raise InvalidState("A deleted tenant cannot be changed.", tenant_status=tenant.status)


def make_update(custom: TenantFields | None, before: Tenant, values: Values) -> Transition:
    """Build the update of a tenant with validated `values`, partial or complete; `custom` are the host's fields."""
    after = before._replace(**{name: values[name] for name in WRITABLE if name in values and name != "metadata"})
    if "metadata" in values and values["metadata"] != json.loads(before.metadata):
        after = after._replace(metadata=dump_json(values["metadata"]))
    if "fields" in values:
        after = after._replace(fields=replace_custom_fields(custom, before.fields, values["fields"]))
    return Transition("tenant.updated", before, after, _collect_changed_keys(before, after, values))


def _apply_update(
    session: Session, actor: Actor, before: Tenant, values: Values, check_version: Callable[[int], None]
) -> Tenant:
    transition = make_update(session.storage.registry.fields, before, values)
    require_plan_change(session, before, transition.after, partial(check_version, before.version))
    require_unique(session, before, transition.unique_keys())
    return apply_transition(session, actor, *transition)


def _collect_changed_keys(before: Tenant, after: Tenant, values: Values) -> Values:
    """Return the comparison keys of the name and the email, each only if that field changed."""
    sources = {"name_key": "client_name", "email_key": "email"}
    return {key: values[key] for key, field in sources.items() if getattr(before, field) != getattr(after, field)}
