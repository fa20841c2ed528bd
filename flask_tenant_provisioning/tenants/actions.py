"""The operations on tenants. Each public function is one unit of work, wherever it is called from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..access import Actor
from ..database import Outdated, Session, Statement, UniqueViolation, instant
from ..events import event, record
from ..events.actions import compact
from ..problems import InvalidState, TenantNotFound
from . import usage
from .conflicts import already_there, refuse_taken, taken
from .models import COLUMNS_OF, WRITABLE, Tenant, claimed_field
from .statements import TenantSQL

#: Looks at the tenant as it is and raises where the caller expected another version.
Expectation = Callable[[Tenant], None]


def create(
    session: Session, actor: Actor, partner: str, values: Mapping[str, Any], limits: Sequence[usage.Limit] = ()
) -> Tenant:
    """Create a tenant of `partner` with valid `values`, and its event.

    Raises `TenantExists`, or `QuotaExceeded` where one of `limits` is reached.
    """
    storage, sql = session.storage, session.storage.once(TenantSQL)
    for limit in limits:
        usage.take(session, limit)
    tenant = _new(storage.new_id(), partner, values, instant(storage.clock()))
    row = _row(tenant, values)
    happened = event(storage, actor, "tenant.created", partner, tenant.document(), tenant.created_at)
    try:
        made = sql.create.run(session, row, happened)
    except UniqueViolation as violation:
        raise taken(claimed_field(violation.constraint)) from violation
    if not made:
        raise already_there(session, partner, values)
    return tenant


def read(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant with this id of `partner`, or of anybody where that is None. Raises `TenantNotFound`."""
    sql = session.storage.once(TenantSQL)
    if partner is None:
        found = session.run(sql.read_anyones, {"id": tenant_id}).fetchone()
    else:
        found = session.run(sql.read, {"partner_id": partner, "id": tenant_id}).fetchone()
    if found is None:
        raise TenantNotFound
    return Tenant._make(found)


def revise(
    session: Session,
    actor: Actor,
    partner: str | None,
    tenant_id: str,
    change: Callable[[Tenant], Mapping[str, Any]],
    expected: Expectation,
) -> Tenant:
    """Give a tenant the values that `change` makes of it; the same values change nothing and leave no event.

    Raises `TenantNotFound`, `InvalidState` for a deleted one, `TenantExists`, and what `change` and `expected` raise.
    """
    before = _locked(session, partner, tenant_id)
    if before.status == "deleted":
        raise InvalidState("A deleted tenant cannot be changed.", tenant_status=before.status)
    expected(before)
    values = change(before)
    after = before._replace(**{name: values[name] for name in WRITABLE if name in values and name != "metadata"})
    if "metadata" in values:
        after = after._replace(metadata=compact(values["metadata"]))
    changes = _differences(before, after)
    if not changes:
        return before
    return _write(session, actor, before, after, values, changes)


def delete(
    session: Session, actor: Actor, partner: str | None, tenant_id: str, retention_days: int, expected: Expectation
) -> Tenant:
    """Delete a tenant for now: it can be restored for `retention_days`. Deleting it again changes nothing.

    Raises `TenantNotFound`, and what `expected` raises.
    """
    storage, sql = session.storage, session.storage.once(TenantSQL)
    before = _locked(session, partner, tenant_id)
    expected(before)
    if before.status == "deleted":
        return before
    now = storage.clock()
    at = instant(now)
    after = before._replace(
        status="deleted",
        version=before.version + 1,
        updated_at=at,
        deleted_at=at,
        purge_at=instant(now, days=retention_days),
    )
    usage.release(session)
    values = {"status": "deleted", "status_before": before.status, "live": None}
    values |= {name: getattr(after, name) for name in ("deleted_at", "purge_at", "updated_at")}
    _change(session, sql.delete, before, values)
    changes = {"status": {"previous": before.status, "new": "deleted"}}
    record(session, event(storage, actor, "tenant.deleted", after.partner_id, after.document(), at, changes))
    return after


def _new(tenant_id: str, partner: str, values: Mapping[str, Any], at: str) -> Tenant:
    get = values.get
    return Tenant(
        id=tenant_id,
        partner_id=partner,
        external_id=get("external_id"),
        client_name=values["client_name"],
        email=values["email"],
        phone_number=get("phone_number"),
        industry=get("industry"),
        plan=get("plan"),
        metadata=compact(get("metadata") or {}),
        status="active",
        suspended_reason=None,
        version=1,
        created_at=at,
        updated_at=at,
        deleted_at=None,
        purge_at=None,
    )


def _row(tenant: Tenant, values: Mapping[str, Any]) -> dict[str, Any]:
    keys = {"name_key": values["name_key"], "email_key": values["email_key"]}
    return tenant._asdict() | keys | {"status_before": None, "live": 1}


def _locked(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant, locked against other writers; its partner is looked up first where the caller sees all of them."""
    if partner is None:
        partner = read(session, None, tenant_id).partner_id
    found = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": tenant_id}).fetchone()
    if found is None:
        raise TenantNotFound
    return Tenant._make(found)


def _differences(before: Tenant, after: Tenant) -> dict[str, Any]:
    """Each writable field that changed, with both values."""
    one, other = before.document(), after.document()
    return {name: {"previous": one[name], "new": other[name]} for name in WRITABLE if one[name] != other[name]}


def _write(
    session: Session, actor: Actor, before: Tenant, after: Tenant, values: Mapping[str, Any], changes: dict[str, Any]
) -> Tenant:
    storage, sql = session.storage, session.storage.once(TenantSQL)
    at = instant(storage.clock())
    after = after._replace(version=before.version + 1, updated_at=at)
    refuse_taken(session, before, values, changes)
    row = {**after._asdict(), **values, "metadata": after.metadata}
    columns = tuple(name for field in changes for name in COLUMNS_OF.get(field, (field,)))
    try:
        _change(session, sql.revise(columns), before, {name: row[name] for name in (*columns, "updated_at")})
    except UniqueViolation as violation:
        raise taken(claimed_field(violation.constraint)) from violation
    record(session, event(storage, actor, "tenant.updated", after.partner_id, after.document(), at, changes))
    return after


def _change(session: Session, statement: Statement, before: Tenant, values: Mapping[str, Any]) -> None:
    """Write to exactly the version that was read. Raises `Outdated`, upon which the whole unit runs again."""
    where = {"partner_id": before.partner_id, "id": before.id, "expected": before.version}
    if session.run(statement, {**where, **{f"new_{name}": value for name, value in values.items()}}).rowcount != 1:
        raise Outdated(before.id)
