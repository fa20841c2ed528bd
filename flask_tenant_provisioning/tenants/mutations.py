"""Load and lock a tenant, write a change together with its event, and refuse duplicate emails and external ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.errors import StaleRead, UniqueViolation
from ..database.ids import format_instant
from ..database.session import Session, Storage
from ..database.statements import encode_rows, write_version
from ..encoding import diff_json, is_same_json
from ..errors import TenantExists, TenantNotFound
from ..events.actions import build_event, record_event
from . import erasure
from .models import Tenant, get_unique_field, render_tenant_document
from .statements import KEY_COLUMNS, TenantSQL

#: A field that is unique among a partner's living tenants, and its comparison key.
UniqueKey = tuple[str, str]


class Transition(NamedTuple):
    """A change from `before` to `after`, with its event type; `hidden` are columns that no response shows."""

    event_type: str
    before: Tenant
    after: Tenant
    hidden: Mapping[str, Any] = MappingProxyType({})

    @property
    def columns(self) -> dict[str, Any]:
        """Return the columns to write, with their values; none if the tenant does not change."""
        shown = zip(Tenant._fields, self.before, self.after, strict=True)
        changed = {name: new for name, old, new in shown if old != new}
        return {**changed, **self.hidden} if changed else {}

    def unique_keys(self) -> Iterator[UniqueKey]:
        """Iterate over the unique keys that the change takes: the email before the external id."""
        if self.after.email != self.before.email:
            yield "email", self.hidden["email_key"]
        if self.after.external_id not in (None, self.before.external_id):
            yield "external_id", self.after.external_id


class TenantChange(NamedTuple):
    """A change of a tenant in one transaction; `before` is None for a new tenant."""

    operation: str
    actor: Actor
    before: Tenant | None
    after: Tenant


class AdminRequest(NamedTuple):
    """The first administrators of new tenants, to be invited in the transaction that creates the tenants.

    `admins` are pairs of a tenant and its validated `admin`.
    """

    actor: Actor
    admins: Sequence[tuple[Tenant, Mapping[str, Any]]]
    operation: str = "tenant.invite"


def request_invitations(session: Session, actor: Actor, tenants: Iterable[tuple[Tenant, Mapping[str, Any]]]) -> None:
    """Let reactions invite the `admin` of each new tenant whose validated values name one."""
    admins = [(tenant, values["admin"]) for tenant, values in tenants if "admin" in values]
    if admins:
        session.run_reactions(AdminRequest(actor, admins))


_UNREPORTED_FIELDS = frozenset({"version", "updated_at"})


class Target(NamedTuple):
    """The tenant that a write addresses: its id and its partner; `partner` None means a tenant of any partner.

    `check_version` is called with the tenant's version and raises if the caller's precondition does not hold.
    """

    partner: str | None
    id: str
    check_version: Callable[[int], None] = lambda _version: None


def load_tenant(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """Return the tenant with this id; `partner` None means any partner. Raises `TenantNotFound`.

    A tenant whose retention is over counts as purged.
    """
    return _require_present(session, _read_row(session, partner, tenant_id))


def lock_tenant(session: Session, target: Target) -> Tenant:
    """Load a tenant and lock its row until the transaction ends. The lock is taken within one partner.

    Raises `TenantNotFound`, and `StaleRead` if the tenant was moved between reading its partner and locking it.
    """
    partner = target.partner
    if partner is None:
        partner = load_tenant(session, None, target.id).partner_id
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": target.id}).fetchone()
    if row is None and target.partner is None:
        raise StaleRead(target.id)
    return _require_present(session, row)


def lock_tenant_in_any_state(session: Session, partner: str, tenant_id: str) -> Tenant | None:
    """Lock a tenant in any state, even one that is being purged. Return None if its row is gone."""
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": tenant_id}).fetchone()
    return Tenant._make(row) if row else None


def load_tenant_in_any_state(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """Return a tenant in any state; `partner` None means any partner. Raises `TenantNotFound` if its row is gone."""
    row = _read_row(session, partner, tenant_id)
    if row is None:
        raise TenantNotFound
    return Tenant._make(row)


def find_living_tenant(session: Session, partner: str, external_id: str) -> str | None:
    """Return the id of a partner's tenant that is not deleted, by its external id; None if there is none."""
    values = {"partner_id": partner, "external_id": external_id}
    row = session.run(session.storage.once(TenantSQL).find_external, values).fetchone()
    return None if row is None else str(row[0])


def _read_row(session: Session, partner: str | None, tenant_id: str) -> tuple[Any, ...] | None:
    sql = session.storage.once(TenantSQL)
    if partner is None:
        row: tuple[Any, ...] | None = session.run(sql.read_of_any_partner, {"id": tenant_id}).fetchone()
    else:
        row = session.run(sql.read, {"partner_id": partner, "id": tenant_id}).fetchone()
    return row


def apply_transition(
    session: Session,
    actor: Actor,
    event_type: str,
    before: Tenant,
    after: Tenant,
    hidden: Mapping[str, Any] | None = None,
    *,
    with_reactions: bool = True,
) -> Tenant:
    """Write the differences and the `hidden` columns, with an event. Do nothing if nothing differs.

    With ``with_reactions=False`` no hooks, steps or other reactions run. Raises `TenantExists` if another tenant has
    its email or external id.
    """
    columns = Transition(event_type, before, after, hidden or {}).columns
    if not columns:
        return before
    at = session.storage.next_timestamp(before.updated_at)
    after = after._replace(version=before.version + 1, updated_at=at)
    try:
        statement = session.storage.once(TenantSQL).change(tuple(columns))
        write_version(session, statement, before.key, before.version, {**columns, "updated_at": at})
    except UniqueViolation as violation:
        raise make_conflict(get_unique_field(violation.constraint)) from violation
    record_change(session, actor, event_type, before, after, at)
    if with_reactions:
        run_reactions(session, actor, event_type, before, after)
    return after


def remove_or_retire(session: Session, actor: Actor, tenant: Tenant) -> bool:
    """Remove a tenant, or only retire it if deprovisioning steps must run first. Return whether it is removed."""
    if session.storage.is_deferred(session, "tenant.purge", tenant):
        retire_tenant(session, actor, tenant)
        return False
    remove_tenant(session, actor, tenant)
    return True


def retire_tenant(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Retire a tenant: start its purge, so that it can no longer be read, and is removed once its steps are done.

    Records no event: `tenant.purged` follows when the row is removed.
    """
    now, at = format_instant(session.storage.clock()), session.storage.next_timestamp(tenant.updated_at)
    values = {"status": "purging", "deleted_at": tenant.deleted_at or now, "purge_at": now}
    after = tenant._replace(**values, version=tenant.version + 1, updated_at=at)
    statement = session.storage.once(TenantSQL).change((*values, "live"))
    write_version(session, statement, tenant.key, tenant.version, {**values, "live": None, "updated_at": at})
    run_reactions(session, actor, "tenant.retired", tenant, after)


def remove_tenant(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Delete the row, schedule the erasure of the tenant's data elsewhere, and record the event."""
    if tenant.status == "purging":
        tenant = tenant._replace(status="deleted")
    write_version(session, session.storage.once(TenantSQL).remove, tenant.key, tenant.version, {})
    erasure.schedule_erasure(session, tenant.partner_id, tenant.id)
    record_change(session, actor, "tenant.purged", tenant, tenant, session.storage.next_timestamp(tenant.updated_at))
    run_reactions(session, actor, "tenant.purged", tenant, tenant)


#: The operation of each event type, by which reactions are chosen. Changes with other event types are made by the
#: service itself. The end of the provisioning has no hook, and only reactions see it. Retiring is internal: it records
#: no event either.
OPERATION_OF_EVENT = {
    "tenant.created": "tenant.create",
    "tenant.provisioned": "tenant.provision",
    "tenant.updated": "tenant.update",
    "tenant.suspended": "tenant.suspend",
    "tenant.reactivated": "tenant.reactivate",
    "tenant.deleted": "tenant.delete",
    "tenant.restored": "tenant.restore",
    "tenant.moved": "tenant.move",
    "tenant.retired": "tenant.retire",
    "tenant.purged": "tenant.purge",
}


def run_reactions(session: Session, actor: Actor, event_type: str, before: Tenant | None, after: Tenant) -> None:
    """Run the reactions to the operation of an event type. Changes that the service itself makes have none."""
    if event_type in OPERATION_OF_EVENT:
        session.run_reactions(TenantChange(OPERATION_OF_EVENT[event_type], actor, before, after))


def record_change(session: Session, actor: Actor, event_type: str, before: Tenant, after: Tenant, at: str) -> None:
    """Record the event of a change from `before` to `after` at the instant `at`."""
    record_event(session, build_change_event(session.storage, actor, event_type, before, after, at))


def build_change_event(
    storage: Storage, actor: Actor, event_type: str, before: Tenant, after: Tenant, at: str
) -> dict[str, Any]:
    """Build the event's row, without writing it."""
    custom = storage.registry.fields
    old, new = render_tenant_document(before, custom), render_tenant_document(after, custom)
    changes = {name: diff_json(old[name], new[name]) for name in new if _is_changed(old[name], new[name])}
    shown = {name: change for name, change in changes.items() if name not in _UNREPORTED_FIELDS}
    return build_event(storage, actor, event_type, after.partner_id, new, at, shown)


def _is_changed(old: Any, new: Any) -> bool:
    """Return whether two values differ as JSON. Only custom fields need the full comparison."""
    return bool(old != new) or not (old is new or isinstance(old, str) or is_same_json(old, new))


def _require_present(session: Session, row: tuple[Any, ...] | None) -> Tenant:
    """Return the row as a tenant. Raises `TenantNotFound` if there is none or its retention is over."""
    tenant = Tenant._make(row) if row else None
    if tenant is None or is_retention_over(session.storage, tenant):
        raise TenantNotFound
    return tenant


def is_retention_over(storage: Storage, tenant: Tenant) -> bool:
    """Return whether the tenant's retention is over, so that it is being purged or is about to be."""
    return tenant.purge_at is not None and tenant.purge_at <= format_instant(storage.clock())


_FIELD_LABELS = {"email": "email", "external_id": "external id"}


def make_conflict(field: str, holder: str | None = None) -> TenantExists:
    """Build the problem for a duplicate `field`; `holder` is the id of the tenant that has the value."""
    members: dict[str, Any] = {"conflicting_tenant": holder} if holder else {}
    return TenantExists(f"Another tenant has this {_FIELD_LABELS[field]}.", field=field, **members)


def explain_conflict(session: Session, partner: str, values: Mapping[str, Any]) -> TenantExists | StaleRead:
    """Return the problem of an insert that a unique key refused, or `StaleRead` if the holder is gone by now."""
    conflict = _find_holder(session, partner, values["email_key"], values.get("external_id"))
    return make_conflict(*conflict) if conflict else StaleRead("the holder is gone")


def collect_unique_keys(tenant: Tenant, email_key: str) -> dict[str, str]:
    """Return the unique keys of a living tenant by field: the email, then the external id if it has one."""
    external_id = {} if tenant.external_id is None else {"external_id": tenant.external_id}
    return {"email": email_key, **external_id}


def find_holders(session: Session, partner: str, keys: Iterable[UniqueKey]) -> dict[UniqueKey, str]:
    """Return the ids of the partner's living tenants that hold these unique keys, by key."""
    values = {"partner_id": partner, "rows": encode_rows({KEY_COLUMNS[field]: key} for field, key in keys)}
    rows = session.run(session.storage.once(TenantSQL).find_holders, values).fetchall()
    return {(field, key): holder for holder, field, key in rows}


def require_unique(session: Session, tenant: Tenant, keys: Iterable[UniqueKey]) -> None:
    """Raise `TenantExists` if another tenant holds one of the unique keys that the tenant is about to take."""
    key_by_field = dict(keys)
    if not key_by_field:
        return
    email_key, external_id = key_by_field.get("email"), key_by_field.get("external_id")
    if conflict := _find_holder(session, tenant.partner_id, email_key, external_id, but=tenant.id):
        raise make_conflict(*conflict)


def _find_holder(
    session: Session, partner: str, email_key: str | None, external_id: str | None, but: str = ""
) -> tuple[str, str] | None:
    """Return the field that is taken and the id of its holder: the email's before the external id's. None if free."""
    values = {"partner_id": partner, "email_key": email_key, "external_id": external_id}
    rows = session.run(session.storage.once(TenantSQL).holders, values).fetchall()
    conflicts = sorted((key != email_key, holder) for holder, key in rows if holder != but)
    return ("external_id" if conflicts[0][0] else "email", conflicts[0][1]) if conflicts else None
