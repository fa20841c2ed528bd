"""Who holds what a tenant wants: an email and an external id are unique among a partner's living tenants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..database import Outdated, Session
from ..database.incoming import rows
from ..problems import TenantExists
from .models import Tenant
from .statements import COMPARED_BY, TenantSQL
from .transition import Claim

_NAMES = {"email": "email", "external_id": "external id"}


def taken(field: str, holder: str | None = None) -> TenantExists:
    """The problem that says which field is taken, and by which of the partner's own tenants."""
    members: dict[str, Any] = {"conflicting_tenant": holder} if holder else {}
    return TenantExists(f"Another tenant has this {_NAMES[field]}.", field=field, **members)


def already_there(session: Session, partner: str, values: Mapping[str, Any]) -> TenantExists | Outdated:
    """Why a tenant with `values` could not be inserted; `Outdated` where the holder has gone meanwhile."""
    found = _holder(session, partner, values["email_key"], values.get("external_id"))
    return taken(*found) if found else Outdated("the holder is gone")


def holders(session: Session, partner: str, keys: Iterable[Claim]) -> dict[Claim, str]:
    """Which of the partner's living tenants hold these, each a field and what it is compared by."""
    wanted = {"partner_id": partner, "rows": rows({COMPARED_BY[field]: key} for field, key in keys)}
    found = session.run(session.storage.once(TenantSQL).all_holders, wanted).fetchall()
    return {(field, key): holder for holder, field, key in found}


def refuse_taken(session: Session, tenant: Tenant, claims: Iterable[Claim]) -> None:
    """Raise `TenantExists` where the tenant claims an email or external id, new to it, that another tenant holds."""
    wanted = dict(claims)
    if not wanted:
        return
    email_key, external_id = wanted.get("email"), wanted.get("external_id")
    if found := _holder(session, tenant.partner_id, email_key, external_id, but=tenant.id):
        raise taken(*found)


def _holder(
    session: Session, partner: str, email_key: str | None, external_id: str | None, but: str = ""
) -> tuple[str, str] | None:
    """Which field is taken, and by whom; the email's holder before the external id's."""
    wanted = {"partner_id": partner, "email_key": email_key, "external_id": external_id}
    held = session.run(session.storage.once(TenantSQL).holders, wanted).fetchall()
    found = sorted((key != email_key, holder) for holder, key in held if holder != but)
    return ("external_id" if found[0][0] else "email", found[0][1]) if found else None
