"""What is past its time: deleted tenants that can no longer be restored."""

from __future__ import annotations

from functools import partial

from ..access import Actor
from ..database import Session, Storage, instant
from .changes import end
from .models import Tenant
from .statements import TenantSQL

_BATCH = 100
#: On behalf of which partner this happens: of none, and of all.
EVERYBODY = "*"


def purge_due(storage: Storage, actor: Actor) -> int:
    """Purge every tenant whose retention is over, or let its steps begin to; returns how many.

    Each is a unit of work of its own. Several may do so at once, and one that is interrupted has finished what it
    counted.
    """
    count = 0
    while due := storage.read(_due):
        count += sum(storage.transaction(partial(_purge_if_due, actor=actor, key=key)) for key in due)
    return count


def _due(session: Session) -> list[tuple[str, str]]:
    now = instant(session.storage.clock())
    found: list[tuple[str, str]] = session.run(
        session.storage.once(TenantSQL).due, {"now": now, "limit": _BATCH}
    ).fetchall()
    return found


def _purge_if_due(session: Session, actor: Actor, key: tuple[str, str]) -> int:
    """Purge one, unless somebody else was faster or restored it."""
    where, now = {"partner_id": key[0], "id": key[1]}, instant(session.storage.clock())
    row = session.run(session.storage.once(TenantSQL).lock, where).fetchone()
    tenant = None if row is None else Tenant._make(row)
    if tenant is None or tenant.status != "deleted" or (tenant.purge_at or "") > now:
        return 0
    end(session, actor, tenant)
    return 1
