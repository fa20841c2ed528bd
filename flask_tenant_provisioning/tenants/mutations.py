"""Load and lock a tenant, write what changes together with its event, and refuse duplicate emails and external ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.errors import StaleRead, UniqueViolation
from ..database.ids import add_microsecond, format_instant
from ..database.session import Session, Storage
from ..database.statements import Statement, encode_rows, name_new_values
from ..errors import TenantExists, TenantNotFound
from ..events.actions import build_event, record_event
from . import erasure
from .custom_fields import diff_json, is_same_json
from .models import Tenant, get_unique_field
from .statements import KEY_COLUMNS, TenantSQL

#: A field that is unique among a partner's living tenants, and what it is compared by.
UniqueKey = tuple[str, str]


class Transition(NamedTuple):
    """`after` in place of `before`, and values of `hidden` columns, with an event of type `kind`."""

    kind: str
    before: Tenant
    after: Tenant
    hidden: Mapping[str, Any] = MappingProxyType({})

    @property
    def columns(self) -> dict[str, Any]:
        """What is to be written; nothing where the tenant stays as it is."""
        shown = zip(Tenant._fields, self.before, self.after, strict=True)
        changed = {name: new for name, old, new in shown if old != new}
        return {**changed, **self.hidden} if changed else {}

    def claims(self) -> Iterator[UniqueKey]:
        """What the tenant newly wants for itself alone: an email before an external id."""
        if self.after.email != self.before.email:
            yield "email", self.hidden["email_key"]
        if self.after.external_id not in (None, self.before.external_id):
            yield "external_id", self.after.external_id


class TenantChange(NamedTuple):
    """What happens to a tenant in one transaction; `before` is None for a new one."""

    operation: str
    actor: Actor
    before: Tenant | None
    after: Tenant


_UNREPORTED_FIELDS = frozenset({"version", "updated_at"})


class Target(NamedTuple):
    """Which tenant is meant: its id, among those of `partner` or, where that is None, among everybody's.

    `expected` looks at the tenant's version and raises where the caller meant another.
    """

    partner: str | None
    id: str
    expected: Callable[[int], None] = lambda _version: None


def load_tenant(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant with this id of `partner`, or of anybody where that is None. Raises `TenantNotFound`."""
    sql = session.storage.once(TenantSQL)
    if partner is None:
        found = session.run(sql.read_of_any_partner, {"id": tenant_id}).fetchone()
    else:
        found = session.run(sql.read, {"partner_id": partner, "id": tenant_id}).fetchone()
    return _require_present(session, found)


def lock_tenant(session: Session, target: Target) -> Tenant:
    """The same, locked against other writers; the lock is taken within one partner.

    Raises `Outdated` where it has gone to another meanwhile.
    """
    partner = target.partner
    if partner is None:
        partner = load_tenant(session, None, target.id).partner_id
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": target.id}).fetchone()
    if row is None and target.partner is None:
        raise StaleRead(target.id)
    return _require_present(session, row)


def lock_tenant_in_any_state(session: Session, partner: str, tenant_id: str) -> Tenant | None:
    """The same whatever its state is, also one that is being purged; None where its row is gone."""
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": tenant_id}).fetchone()
    return Tenant._make(row) if row else None


def load_tenant_in_any_state(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant whatever its state is, not locked; of anybody where `partner` is None. Raises `TenantNotFound`."""
    sql = session.storage.once(TenantSQL)
    statement, where = (sql.read_of_any_partner, {}) if partner is None else (sql.read, {"partner_id": partner})
    row = session.run(statement, {**where, "id": tenant_id}).fetchone()
    if row is None:
        raise TenantNotFound
    return Tenant._make(row)


def apply_transition(
    session: Session,
    actor: Actor,
    kind: str,
    before: Tenant,
    after: Tenant,
    hidden: Mapping[str, Any] | None = None,
    *,
    consult: bool = True,
) -> Tenant:
    """Write what differs, `hidden` columns too, with an event of type `kind`. Where nothing differs, do nothing.

    Without `consult` nobody takes part in it. Raises `TenantExists` where another tenant holds what this one wants.
    """
    columns = Transition(kind, before, after, hidden or {}).columns
    if not columns:
        return before
    at = next_timestamp(session.storage, before)
    after = after._replace(version=before.version + 1, updated_at=at)
    try:
        _write_version(
            session, session.storage.once(TenantSQL).change(tuple(columns)), before, {**columns, "updated_at": at}
        )
    except UniqueViolation as violation:
        raise make_conflict(get_unique_field(violation.constraint)) from violation
    record_change(session, actor, kind, before, after, at)
    if consult:
        run_reactions(session, actor, kind, before, after)
    return after


def remove_or_retire(session: Session, actor: Actor, tenant: Tenant) -> bool:
    """Remove a tenant, at once or by steps; returns whether it is gone."""
    if session.storage.is_deferred(session, "tenant.purge", tenant):
        retire_tenant(session, actor, tenant)
        return False
    remove_tenant(session, actor, tenant)
    return True


def retire_tenant(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Begin a tenant's end: nobody finds it any more, and steps do the rest before they `remove` it."""
    now, at = format_instant(session.storage.clock()), next_timestamp(session.storage, tenant)
    values = {"status": "purging", "deleted_at": tenant.deleted_at or now, "purge_at": now}
    after = tenant._replace(**values, version=tenant.version + 1, updated_at=at)
    statement = session.storage.once(TenantSQL).change((*values, "live"))
    _write_version(session, statement, tenant, {**values, "live": None, "updated_at": at})
    run_reactions(session, actor, "tenant.retired", tenant, after)


def remove_tenant(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Take the row away for good, with an event that remembers it for a while."""
    if tenant.status == "purging":
        tenant = tenant._replace(status="deleted")
    _write_version(session, session.storage.once(TenantSQL).remove, tenant, {})
    erasure.schedule_erasure(session, tenant.partner_id, tenant.id)
    record_change(session, actor, "tenant.purged", tenant, tenant, next_timestamp(session.storage, tenant))
    run_reactions(session, actor, "tenant.purged", tenant, tenant)


#: What hooks call the operations that leave these events; whatever else happens to a tenant is the service's own doing.
OPERATION_OF_EVENT = {
    "tenant.created": "tenant.create",
    "tenant.updated": "tenant.update",
    "tenant.suspended": "tenant.suspend",
    "tenant.reactivated": "tenant.reactivate",
    "tenant.deleted": "tenant.delete",
    "tenant.restored": "tenant.restore",
    "tenant.moved": "tenant.move",
    "tenant.retired": "tenant.retire",
    "tenant.purged": "tenant.purge",
}


def run_reactions(session: Session, actor: Actor, kind: str, before: Tenant | None, after: Tenant) -> None:
    """Let whoever takes part in the operation that leaves events of type `kind` do so, in the same transaction."""
    if kind in OPERATION_OF_EVENT:
        for reaction in session.storage.reactions:
            reaction(session, TenantChange(OPERATION_OF_EVENT[kind], actor, before, after))


def record_change(session: Session, actor: Actor, kind: str, before: Tenant, after: Tenant, at: str) -> None:
    """Record the event that turned `before` into `after` at the instant `at`."""
    record_event(session, build_change_event(session.storage, actor, kind, before, after, at))


def build_change_event(
    storage: Storage, actor: Actor, kind: str, before: Tenant, after: Tenant, at: str
) -> dict[str, Any]:
    """The row for that event; not yet written."""
    own = storage.hooks.fields
    old, new = before.document(own), after.document(own)
    changes = {name: diff_json(old[name], new[name]) for name in new if _is_changed(old[name], new[name])}
    shown = {name: change for name, change in changes.items() if name not in _UNREPORTED_FIELDS}
    return build_event(storage, actor, kind, after.partner_id, new, at, shown)


def next_timestamp(storage: Storage, before: Tenant, now: str | None = None) -> str:
    """Now, and later than the tenant's last change, whose process may have a faster clock: the feed's order is that."""
    return max(now or format_instant(storage.clock()), add_microsecond(before.updated_at))


def _is_changed(old: Any, new: Any) -> bool:
    """Whether two values are not the same JSON; only what the host's own fields hold needs a closer look."""
    return bool(old != new) or not (old is new or isinstance(old, str) or is_same_json(old, new))


def _require_present(session: Session, row: tuple[Any, ...] | None) -> Tenant:
    """The row as a tenant. One whose retention is over is as good as purged."""
    found = Tenant._make(row) if row else None
    if found is None or is_retention_over(session.storage, found):
        raise TenantNotFound
    return found


def is_retention_over(storage: Storage, tenant: Tenant) -> bool:
    """Whether the tenant's retention is over, and it is purged soon, or being purged."""
    return tenant.purge_at is not None and tenant.purge_at <= format_instant(storage.clock())


def _write_version(session: Session, statement: Statement, before: Tenant, values: Mapping[str, Any]) -> None:
    """Write to exactly the version that was read. Raises `Outdated`, upon which the whole unit runs again."""
    where = {"partner_id": before.partner_id, "id": before.id, "expected": before.version}
    if session.run(statement, {**where, **name_new_values(values)}).rowcount != 1:
        raise StaleRead(before.id)


_FIELD_LABELS = {"email": "email", "external_id": "external id"}


def make_conflict(field: str, holder: str | None = None) -> TenantExists:
    """The problem that says which field is taken, and by which of the partner's own tenants."""
    members: dict[str, Any] = {"conflicting_tenant": holder} if holder else {}
    return TenantExists(f"Another tenant has this {_FIELD_LABELS[field]}.", field=field, **members)


def explain_conflict(session: Session, partner: str, values: Mapping[str, Any]) -> TenantExists | StaleRead:
    """Why a tenant with `values` could not be inserted; `Outdated` where the holder has gone meanwhile."""
    found = _find_holder(session, partner, values["email_key"], values.get("external_id"))
    return make_conflict(*found) if found else StaleRead("the holder is gone")


def find_holders(session: Session, partner: str, keys: Iterable[UniqueKey]) -> dict[UniqueKey, str]:
    """Which of the partner's living tenants hold these, each a field and what it is compared by."""
    wanted = {"partner_id": partner, "rows": encode_rows({KEY_COLUMNS[field]: key} for field, key in keys)}
    found = session.run(session.storage.once(TenantSQL).find_holders, wanted).fetchall()
    return {(field, key): holder for holder, field, key in found}


def require_unique(session: Session, tenant: Tenant, claims: Iterable[UniqueKey]) -> None:
    """Raise `TenantExists` where the tenant claims an email or external id, new to it, that another tenant holds."""
    wanted = dict(claims)
    if not wanted:
        return
    email_key, external_id = wanted.get("email"), wanted.get("external_id")
    if found := _find_holder(session, tenant.partner_id, email_key, external_id, but=tenant.id):
        raise make_conflict(*found)


def _find_holder(
    session: Session, partner: str, email_key: str | None, external_id: str | None, but: str = ""
) -> tuple[str, str] | None:
    """Which field is taken, and by whom; the email's holder before the external id's."""
    wanted = {"partner_id": partner, "email_key": email_key, "external_id": external_id}
    held = session.run(session.storage.once(TenantSQL).holders, wanted).fetchall()
    found = sorted((key != email_key, holder) for holder, key in held if holder != but)
    return ("external_id" if found[0][0] else "email", found[0][1]) if found else None
