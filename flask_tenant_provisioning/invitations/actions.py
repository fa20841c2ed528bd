"""Create, load, resend, revoke and expire invitations. What takes a `Session` runs in the caller's unit of work.

A change of an invitation holds the lock on the tenant's row; only a worker that saves the outcome of an attempt goes by
the fence instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from ..access.principal import Actor
from ..database.errors import LeaseLost
from ..database.ids import format_instant
from ..database.lease import bind_claim
from ..database.pages import measure_row, read_page
from ..database.session import Session
from ..database.statements import name_new_values, write_version
from ..errors import InvalidState, InvitationExists, InvitationNotFound, InvitationsUnavailable, QuotaExceeded
from ..events.actions import build_event, record_event, record_events
from ..keyring import Keyring
from ..tenants import mutations
from ..tenants.models import Tenant
from .models import INVITATION_WORK, InvitationRow, render_invitation
from .statements import InvitationSQL
from .tokens import derive_hash

Values = Mapping[str, Any]


class Rules(NamedTuple):
    """The rules of one mount: the key ring of its tokens, the seconds for which they are valid, the most open
    invitations of a tenant, and whether the host sends invitations at all.
    """

    keyring: Keyring
    seconds: int
    limit: int
    is_available: bool


class Target(NamedTuple):
    """The invitation that a write addresses; `partner` None means one of any partner, `tenant_id` None of any tenant.

    `check_version` is called with the invitation's version and raises if the caller's precondition does not hold.
    """

    partner: str | None
    tenant_id: str | None
    id: str
    check_version: Callable[[int], None] = lambda _version: None


def create_many(
    session: Session, actor: Actor, rules: Rules, admins: Sequence[tuple[Tenant, Values]]
) -> list[InvitationRow]:
    """Create an invitation, with its event, for each pair of a tenant and its validated admin."""
    rows = [_build(session, actor, rules, tenant, admin) for tenant, admin in admins]
    events = [
        build_event(
            session.storage, actor, "invitation.created", row.partner_id, render_invitation(row), row.created_at
        )
        for row in rows
    ]
    session.run_many(session.storage.once(InvitationSQL).insert, [row._asdict() for row in rows])
    record_events(session, events)
    for row in rows:
        _notify_worker(session, row)
    return rows


def create(
    session: Session, actor: Actor, rules: Rules, partner: str | None, tenant_id: str, admin: Values
) -> InvitationRow:
    """Invite a further administrator of a tenant, with its event.

    Raises `TenantNotFound`, `InvitationsUnavailable`, `InvalidState` for a tenant that is suspended or deleted,
    `InvitationExists` if the tenant has an open invitation for this address, and `QuotaExceeded`.
    """
    tenant = mutations.lock_tenant(session, mutations.Target(partner, tenant_id))
    _require_inviting(rules, tenant)
    _require_place(session, rules, tenant, admin["email_key"])
    (row,) = create_many(session, actor, rules, [(tenant, admin)])
    return row


def load(session: Session, partner: str | None, tenant_id: str | None, invitation_id: str) -> InvitationRow:
    """Return an invitation of a tenant; `partner` and `tenant_id` None mean any. Raises `InvitationNotFound`.

    Raises `TenantNotFound` if the tenant cannot be read, also since its retention is over.
    """
    row = find(session, partner, invitation_id)
    tenant_id = tenant_id or (row.tenant_id if row else None)
    if tenant_id is not None:
        mutations.load_tenant(session, partner, tenant_id)
    if row is None or row.tenant_id != tenant_id:
        raise InvitationNotFound
    return row


def find(session: Session, partner: str | None, invitation_id: str) -> InvitationRow | None:
    """Return the invitation with this id of `partner`, or of any if None. Return None if there is none."""
    sql = session.storage.once(InvitationSQL)
    if partner is None:
        row = session.run(sql.read_of_any_partner, {"id": invitation_id}).fetchone()
    else:
        row = session.run(sql.read, {"partner_id": partner, "id": invitation_id}).fetchone()
    return InvitationRow._make(row) if row else None


def lock(session: Session, key: Values) -> InvitationRow | None:
    """Lock the invitation with this primary key and return it; None if it is gone."""
    row = session.run(session.storage.once(InvitationSQL).lock, dict(key)).fetchone()
    return InvitationRow._make(row) if row else None


def list_page(
    session: Session, partner: str | None, tenant_id: str, state: str | None, limit: int, after: str | None
) -> tuple[list[InvitationRow], str | None]:
    """Return at most `limit` invitations of a tenant after the id `after`, and the last id; None if none follow.

    The oldest come first; with a `state`, only those in it. Raises `TenantNotFound`.
    """
    tenant = mutations.load_tenant(session, partner, tenant_id)
    sql, where = session.storage.once(InvitationSQL), {"partner_id": tenant.partner_id, "tenant_id": tenant.id}
    where |= {} if state is None else {"state": state}

    def load_rows(count: int, after: str | None) -> list[InvitationRow]:
        statement = sql.list_of_tenant(in_state=state is not None, after=after is not None)
        parameters = {**where, "limit": count, **({} if after is None else {"after": after})}
        return [InvitationRow._make(row) for row in session.run(statement, parameters).fetchall()]

    return read_page(load_rows, limit, after, lambda row: row.id, measure_row)


def resend(session: Session, actor: Actor, rules: Rules, target: Target) -> InvitationRow:
    """Send an invitation again with a new token, which ends the one before, and a new time to accept it.

    Raises `TenantNotFound`, `InvitationNotFound`, `InvitationsUnavailable`, `InvalidState` if it was accepted or
    revoked, or its tenant is suspended or deleted, `InvitationExists`, `QuotaExceeded`, and what the target's
    precondition raises.
    """
    tenant, before = lock_target(session, target)
    if before.state in ("accepted", "revoked"):
        raise _make_state_error(before, "resent")
    _require_inviting(rules, tenant)
    if not before.is_open:
        _require_place(session, rules, tenant, before.email_key)
    target.check_version(before.version)
    generation = before.generation + 1
    values = {
        **_start_sending(session, rules.seconds, tenant),
        "generation": generation,
        "token_hash": derive_hash(rules.keyring, before.id, generation),
        "sent_at": None,
        "ended_at": None,
        "request_id": actor.request_id,
        "traceparent": session.storage.telemetry.get_traceparent(),
    }
    return save(session, actor, "invitation.resent", before, **values)


def revoke(session: Session, actor: Actor, target: Target) -> InvitationRow:
    """Revoke an invitation; revoking it twice changes nothing.

    Raises `TenantNotFound`, `InvitationNotFound`, `InvalidState` if it was accepted or has expired, and what the
    target's precondition raises.
    """
    _, before = lock_target(session, target)
    target.check_version(before.version)
    if before.state == "revoked":
        return before
    if not before.is_open:
        raise _make_state_error(before, "revoked")
    return end(session, actor, "revoked", before)


def revoke_open(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Revoke every open invitation of a tenant."""
    for row in lock_open(session, tenant):
        end(session, actor, "revoked", row)


def hold_sending(session: Session, actor: Actor, tenant: Tenant) -> None:
    """Let the invitations that are being sent wait until the tenant is active again."""
    for row in _lock_in_state(session, tenant, "sending"):
        save(session, actor, None, row, state="waiting", due_at=None, expires_at=None)


def release_waiting(session: Session, actor: Actor, tenant: Tenant, seconds: int) -> None:
    """Send the waiting invitations of a tenant that is active now."""
    for row in _lock_in_state(session, tenant, "waiting"):
        save(session, actor, None, row, **_start_sending(session, seconds, tenant))


def move(session: Session, before: Tenant, after: Tenant) -> None:
    """Move the invitations with their tenant to another partner."""
    where = {"partner_id": before.partner_id, "tenant_id": before.id, "new_partner_id": after.partner_id}
    session.storage.once(InvitationSQL).transfer.run(session, where)


def delete_of_tenant(session: Session, tenant: Tenant) -> None:
    """Delete the invitations of a tenant."""
    where = {"partner_id": tenant.partner_id, "tenant_id": tenant.id}
    session.run(session.storage.once(InvitationSQL).delete_of_tenant, where)


def end(session: Session, actor: Actor, state: str, before: InvitationRow) -> InvitationRow:
    """End an invitation in one of `models.ENDED_STATES`, with the event of that name."""
    ended_at = format_instant(session.storage.clock())
    return save(session, actor, f"invitation.{state}", before, state=state, due_at=None, ended_at=ended_at)


def save(session: Session, actor: Actor, event_type: str | None, before: InvitationRow, **values: Any) -> InvitationRow:
    """Write `values` as the invitation's next version, with an event; a worker that has claimed it loses it.

    Raises `StaleRead` if another transaction has changed it.
    """
    values |= {"fence": before.fence + 1, "updated_at": session.storage.next_timestamp(before.updated_at)}
    statement = session.storage.once(InvitationSQL).update((*values, "version"))
    write_version(session, statement, before.key, before.version, {**values, "version": before.version + 1})
    return _record(session, actor, event_type, before, values)


def save_claimed(
    session: Session, actor: Actor, event_type: str | None, before: InvitationRow, **values: Any
) -> InvitationRow:
    """Write `values` as the next version of a claimed invitation, with an event. Raises `LeaseLost`.

    The claim ends, unless `values` have no ``due_at``.
    """
    if "due_at" in values:
        values["fence"] = before.fence + 1
    values["updated_at"] = session.storage.next_timestamp(before.updated_at)
    statement = session.storage.once(InvitationSQL).update_claimed((*values, "version"))
    parameters = bind_claim(before) | name_new_values({**values, "version": before.version + 1})
    if session.run(statement, parameters).rowcount != 1:
        raise LeaseLost(before.id)
    return _record(session, actor, event_type, before, values)


def lock_target(session: Session, target: Target) -> tuple[Tenant, InvitationRow]:
    """Lock an invitation and its tenant and return both. Raises `TenantNotFound` and `InvitationNotFound`."""
    found = load(session, target.partner, target.tenant_id, target.id)
    tenant = mutations.lock_tenant(session, mutations.Target(target.partner, found.tenant_id))
    row = lock(session, {"partner_id": tenant.partner_id, "id": found.id})
    if row is None:
        raise InvitationNotFound
    return tenant, row


def lock_open(session: Session, tenant: Tenant) -> list[InvitationRow]:
    """Lock the open invitations of a tenant and return them, the oldest first."""
    where = {"partner_id": tenant.partner_id, "tenant_id": tenant.id}
    rows = session.run(session.storage.once(InvitationSQL).lock_open, where).fetchall()
    return [InvitationRow._make(row) for row in rows]


def _lock_in_state(session: Session, tenant: Tenant, state: str) -> list[InvitationRow]:
    where = {"partner_id": tenant.partner_id, "tenant_id": tenant.id, "state": state}
    rows = session.run(session.storage.once(InvitationSQL).lock_in_state, where).fetchall()
    return [InvitationRow._make(row) for row in rows]


def _build(session: Session, actor: Actor, rules: Rules, tenant: Tenant, admin: Values) -> InvitationRow:
    storage = session.storage
    id, at = storage.new_id(), storage.next_timestamp(tenant.updated_at)
    row = InvitationRow(
        partner_id=tenant.partner_id,
        id=id,
        tenant_id=tenant.id,
        email=admin["email"],
        email_key=admin["email_key"],
        name=admin["name"],
        locale=admin["locale"],
        state="waiting",
        generation=1,
        token_hash=derive_hash(rules.keyring, id, 1),
        attempts=0,
        fence=0,
        due_at=None,
        sent_at=None,
        expires_at=None,
        ended_at=None,
        error_class=None,
        error_message=None,
        request_id=actor.request_id,
        traceparent=storage.telemetry.get_traceparent(),
        version=1,
        created_at=at,
        updated_at=at,
    )
    return row._replace(**_start_sending(session, rules.seconds, tenant))


def _start_sending(session: Session, seconds: int, tenant: Tenant) -> dict[str, Any]:
    """Return the columns of an invitation that is due now, or that waits until its tenant is active."""
    now = session.storage.clock()
    is_active = tenant.status == "active"
    return {
        "state": "sending" if is_active else "waiting",
        "attempts": 0,
        "due_at": format_instant(now) if is_active else None,
        "expires_at": format_instant(now + seconds) if is_active else None,
        "error_class": None,
        "error_message": None,
    }


def _notify_worker(session: Session, row: InvitationRow) -> None:
    if row.state == "sending":
        session.notify_worker((INVITATION_WORK, row.partner_id, row.id))


def _record(
    session: Session, actor: Actor, event_type: str | None, before: InvitationRow, values: Values
) -> InvitationRow:
    after = before._replace(**values, version=before.version + 1)
    if event_type is not None:
        old, new = render_invitation(before), render_invitation(after)
        names = (name for name in new if old[name] != new[name] and name not in ("version", "updated_at"))
        changes = {name: {"previous": old[name], "new": new[name]} for name in names}
        event = build_event(session.storage, actor, event_type, after.partner_id, new, after.updated_at, changes)
        record_event(session, event)
    if before.state != "sending" or after.generation != before.generation:
        _notify_worker(session, after)
    return after


def _require_inviting(rules: Rules, tenant: Tenant) -> None:
    """Raise `InvitationsUnavailable` if the host sends no invitations, and `InvalidState` for a tenant without any."""
    if not rules.is_available:
        raise InvitationsUnavailable("This service sends no invitations.")
    if tenant.status in ("suspended", "deleted"):
        raise InvalidState(f"A tenant that is {tenant.status} has no invitations.", tenant_status=tenant.status)


def _require_place(session: Session, rules: Rules, tenant: Tenant, email_key: str) -> None:
    """Raise `InvitationExists` or `QuotaExceeded` if the tenant cannot invite this address as well."""
    open_rows = lock_open(session, tenant)
    holder = next((other for other in open_rows if other.email_key == email_key), None)
    if holder is not None:
        raise InvitationExists("The tenant has an open invitation for this address.", conflicting_invitation=holder.id)
    if len(open_rows) >= rules.limit:
        raise QuotaExceeded(f"The limit of {rules.limit} open invitations is reached.", limit=rules.limit)


def _make_state_error(row: InvitationRow, action: str) -> InvalidState:
    states = {"accepted": "was accepted", "revoked": "was revoked", "expired": "has expired"}
    return InvalidState(f"An invitation that {states[row.state]} cannot be {action}.", invitation_state=row.state)
