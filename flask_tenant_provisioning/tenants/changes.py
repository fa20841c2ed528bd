"""How a tenant changes: read under a lock, compared with what the caller expects, written with its event."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from ..access import Actor
from ..database import Outdated, Session, Statement, Storage, UniqueViolation, following, instant, renewal
from ..events import event, record
from ..problems import TenantNotFound
from . import erasure
from .conflicts import taken
from .consulting import Change
from .models import Tenant, claimed_field
from .own_fields import difference, same
from .statements import TenantSQL
from .transition import Transition

_OWN = frozenset({"version", "updated_at"})


class Target(NamedTuple):
    """Which tenant is meant: its id, among those of `partner` or, where that is None, among everybody's.

    `expected` looks at the tenant's version and raises where the caller meant another.
    """

    partner: str | None
    id: str
    expected: Callable[[int], None] = lambda _version: None


def read(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant with this id of `partner`, or of anybody where that is None. Raises `TenantNotFound`."""
    sql = session.storage.once(TenantSQL)
    if partner is None:
        found = session.run(sql.read_anyones, {"id": tenant_id}).fetchone()
    else:
        found = session.run(sql.read, {"partner_id": partner, "id": tenant_id}).fetchone()
    return _present(session, found)


def locked(session: Session, target: Target) -> Tenant:
    """The same, locked against other writers; the lock is taken within one partner.

    Raises `Outdated` where it has gone to another meanwhile.
    """
    partner = target.partner
    if partner is None:
        partner = read(session, None, target.id).partner_id
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": target.id}).fetchone()
    if row is None and target.partner is None:
        raise Outdated(target.id)
    return _present(session, row)


def held(session: Session, partner: str, tenant_id: str) -> Tenant | None:
    """The same whatever its state is, also one that is being purged; None where its row is gone."""
    row = session.run(session.storage.once(TenantSQL).lock, {"partner_id": partner, "id": tenant_id}).fetchone()
    return Tenant._make(row) if row else None


def whereabouts(session: Session, partner: str | None, tenant_id: str) -> Tenant:
    """The tenant whatever its state is, not locked; of anybody where `partner` is None. Raises `TenantNotFound`."""
    sql = session.storage.once(TenantSQL)
    statement, where = (sql.read_anyones, {}) if partner is None else (sql.read, {"partner_id": partner})
    row = session.run(statement, {**where, "id": tenant_id}).fetchone()
    if row is None:
        raise TenantNotFound
    return Tenant._make(row)


def apply(
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
    at = moment(session.storage, before)
    after = after._replace(version=before.version + 1, updated_at=at)
    try:
        _run(session, session.storage.once(TenantSQL).change(tuple(columns)), before, {**columns, "updated_at": at})
    except UniqueViolation as violation:
        raise taken(claimed_field(violation.constraint)) from violation
    announce(session, actor, kind, before, after, at)
    if consult:
        react(session, actor, kind, before, after)
    return after


def end(session: Session, actor: Actor, tenant: Tenant) -> bool:
    """Remove a tenant, at once or by steps; returns whether it is gone."""
    if session.storage.defers(session, "tenant.purge", tenant):
        retire(session, actor, tenant)
        return False
    remove(session, actor, tenant)
    return True


def retire(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Begin a tenant's end: nobody finds it any more, and steps do the rest before they `remove` it."""
    now, at = instant(session.storage.clock()), moment(session.storage, tenant)
    values = {"status": "purging", "deleted_at": tenant.deleted_at or now, "purge_at": now}
    after = tenant._replace(**values, version=tenant.version + 1, updated_at=at)
    statement = session.storage.once(TenantSQL).change((*values, "live"))
    _run(session, statement, tenant, {**values, "live": None, "updated_at": at})
    react(session, actor, "tenant.retired", tenant, after)


def remove(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Take the row away for good, with an event that remembers it for a while."""
    if tenant.status == "purging":
        tenant = tenant._replace(status="deleted")
    _run(session, session.storage.once(TenantSQL).remove, tenant, {})
    erasure.schedule(session, tenant.partner_id, tenant.id)
    announce(session, actor, "tenant.purged", tenant, tenant, moment(session.storage, tenant))
    react(session, actor, "tenant.purged", tenant, tenant)


#: What hooks call the operations that leave these events; whatever else happens to a tenant is the service's own doing.
OPERATIONS = {
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


def react(session: Session, actor: Actor, kind: str, before: Tenant | None, after: Tenant) -> None:
    """Let whoever takes part in the operation that leaves events of type `kind` do so, in the same transaction."""
    if kind in OPERATIONS:
        for reaction in session.storage.reactions:
            reaction(session, Change(OPERATIONS[kind], actor, before, after))


def announce(session: Session, actor: Actor, kind: str, before: Tenant, after: Tenant, at: str) -> None:
    """Record the event that turned `before` into `after` at the instant `at`."""
    record(session, told(session.storage, actor, kind, before, after, at))


def told(storage: Storage, actor: Actor, kind: str, before: Tenant, after: Tenant, at: str) -> dict[str, Any]:
    """The row for that event; not yet written."""
    own = storage.hooks.fields
    old, new = before.document(own), after.document(own)
    changes = {name: difference(old[name], new[name]) for name in new if _differ(old[name], new[name])}
    shown = {name: change for name, change in changes.items() if name not in _OWN}
    return event(storage, actor, kind, after.partner_id, new, at, shown)


def moment(storage: Storage, before: Tenant, now: str | None = None) -> str:
    """Now, and later than the tenant's last change, whose process may have a faster clock: the feed's order is that."""
    return max(now or instant(storage.clock()), following(before.updated_at))


def _differ(old: Any, new: Any) -> bool:
    """Whether two values are not the same JSON; only what the host's own fields hold needs a closer look."""
    return bool(old != new) or not (old is new or isinstance(old, str) or same(old, new))


def _present(session: Session, row: tuple[Any, ...] | None) -> Tenant:
    """The row as a tenant. One whose retention is over is as good as purged."""
    found = Tenant._make(row) if row else None
    if found is None or is_over(session.storage, found):
        raise TenantNotFound
    return found


def is_over(storage: Storage, tenant: Tenant) -> bool:
    """Whether the tenant's retention is over, and it is purged soon, or being purged."""
    return tenant.purge_at is not None and tenant.purge_at <= instant(storage.clock())


def _run(session: Session, statement: Statement, before: Tenant, values: Mapping[str, Any]) -> None:
    """Write to exactly the version that was read. Raises `Outdated`, upon which the whole unit runs again."""
    where = {"partner_id": before.partner_id, "id": before.id, "expected": before.version}
    if session.run(statement, {**where, **renewal(values)}).rowcount != 1:
        raise Outdated(before.id)
