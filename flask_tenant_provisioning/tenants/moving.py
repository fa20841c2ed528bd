"""Move a tenant from one partner to another, with all that is its own; what has happened stays where it happened."""

from __future__ import annotations

from ..access import Actor
from ..database import Outdated, Session, Storage, UniqueViolation, renewed
from ..database.relocation import Relocation
from ..events import event, record
from ..partners import actions as partners
from ..problems import Fault, InvalidState
from ..web.validation import entry, invalid
from . import erasure, usage
from .changes import Target, locked, moment, react, told
from .conflicts import refuse_taken, taken
from .models import Tenant, claimed_field
from .plans import require_allowed
from .statements import TenantSQL

UNKNOWN = Fault("unknown-partner", "There is no such partner.")


def move(session: Session, actor: Actor, target: Target, partner: str) -> Tenant:
    """Give a tenant to `partner`, who may have it; where it is that partner's, do nothing.

    Raises `TenantNotFound`, `InvalidState` where it is deleted or its steps are under way, `InvalidInput` where there
    is no such partner, `PlanNotAllowed`, `QuotaExceeded`, `TenantExists`, and what `expected` raises.
    """
    before = locked(session, target)
    if before.status in ("deleted", "provisioning"):
        raise InvalidState(f"A tenant that is {before.status} cannot be moved.", tenant_status=before.status)
    session.storage.require_ready(session, "tenant.move", before)
    if before.partner_id == partner:
        target.expected(before.version)
        return before
    if partners.find(session, partner) is None:
        raise invalid([entry(UNKNOWN, "partner")])
    require_allowed(session, partner, before.plan)
    usage.transfer(session, before.partner_id, partner)
    target.expected(before.version)
    after = _moved(session, before, partner)
    erasure.note_move(session, before.partner_id, before.id)
    _tell(session, actor, before, after)
    react(session, actor, "tenant.moved", before, after)
    return after


def _moved(session: Session, before: Tenant, partner: str) -> Tenant:
    """Move the row. Raises `TenantExists` where its email or external id is taken there."""
    sql = session.storage.once(TenantSQL)
    where = {"partner_id": before.partner_id, "id": before.id}
    _, email_key = session.run(sql.hidden, where).fetchone()
    claims = {"email": email_key} | ({} if before.external_id is None else {"external_id": before.external_id})
    at = moment(session.storage, before)
    after = before._replace(partner_id=partner, version=before.version + 1, updated_at=at)
    refuse_taken(session, after, claims.items())
    changed = {"new_partner_id": partner, "new_version": after.version, "new_updated_at": at}
    try:
        count = session.storage.once(MovingSQL).tenant.run(session, {**where, **changed, "version": before.version})
    except UniqueViolation as violation:
        raise taken(claimed_field(violation.constraint)) from violation
    if count != 1:
        raise Outdated(before.id)
    return after


def _tell(session: Session, actor: Actor, before: Tenant, after: Tenant) -> None:
    """Record the event for both partners."""
    storage, kind = session.storage, "tenant.moved"
    there = told(storage, actor, kind, before, after, after.updated_at)
    changes = {"partner": {"previous": before.partner_id, "new": after.partner_id}}
    shown = after.document(storage.hooks.fields)
    record(session, event(storage, actor, kind, before.partner_id, shown, after.updated_at, changes))
    record(session, there)


class MovingSQL:
    """The statements of one storage."""

    def __init__(self, storage: Storage) -> None:
        table = storage.table("tenants")
        values = renewed(table.c, ("version", "updated_at"))
        self.tenant = Relocation(table, storage.engine.dialect, ("id", "version"), values)
