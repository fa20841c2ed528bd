"""The tenants that many rows speak of, as the rows so far leave them: what each next row would find, unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..database import Session
from ..database.incoming import rows
from .changes import is_over
from .models import Tenant
from .statements import TenantSQL
from .transition import Claim, Transition


class Known:
    """One tenant, and what it alone may hold while it lives."""

    __slots__ = ("claims", "tenant")

    def __init__(self, tenant: Tenant, claims: Mapping[str, str]) -> None:
        self.tenant = tenant
        self.claims = claims


class Scene:
    """Those tenants, each found by its id while it is there, and by what it holds while it lives."""

    def __init__(self, found: Iterable[Known]) -> None:
        self._by_id: dict[str, Known] = {}
        self._holders: dict[Claim, Known] = {}
        for known in found:
            self._by_id[known.tenant.id] = known
            self.add(known)

    def ids(self) -> Iterable[str]:
        """The ids of all that are there."""
        return self._by_id

    def find(self, tenant_id: str) -> Known | None:
        """The tenant with this id, whatever its state is."""
        return self._by_id.get(tenant_id)

    def holder(self, claim: Claim) -> Known | None:
        """The living tenant that holds this."""
        return self._holders.get(claim)

    def add(self, known: Known) -> None:
        """Let a tenant hold what it claims."""
        self._holders.update(dict.fromkeys(known.claims.items(), known))

    def change(self, known: Known, transition: Transition) -> set[Claim]:
        """Let a tenant go on as what it becomes; returns what it holds no longer."""
        before = set(known.claims.items())
        for claim in before:
            del self._holders[claim]
        known.tenant = transition.after
        known.claims = _claims(transition.after, {**known.claims, **dict(transition.claims())}.get("email", ""))
        self.add(known)
        return before - set(known.claims.items())


def look(session: Session, partner: str, named: Iterable[Mapping[str, str | None]]) -> Scene:
    """Find and lock the tenants of `partner` that are named by `id`, or hold an `external_id` or `email_key`."""
    wanted = {"partner_id": partner, "rows": rows(named)}
    found = []
    for *row, email_key, live in session.run(session.storage.once(TenantSQL).lock_many, wanted).fetchall():
        tenant = Tenant._make(row)
        if not is_over(session.storage, tenant):
            found.append(Known(tenant, _claims(tenant, email_key) if live else {}))
    return Scene(found)


def created(tenant: Tenant, email_key: str) -> Known:
    """A tenant that was not there before."""
    return Known(tenant, _claims(tenant, email_key))


def _claims(tenant: Tenant, email_key: str) -> dict[str, str]:
    """What the tenant holds: nothing any more once it is deleted."""
    if tenant.status == "deleted":
        return {}
    external_id = {} if tenant.external_id is None else {"external_id": tenant.external_id}
    return {"email": email_key, **external_id}
