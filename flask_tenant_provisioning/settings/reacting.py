"""How settings take part in the tenant's own transactions: they move with it, and go with it."""

from __future__ import annotations

from ..database import Session
from ..tenants.consulting import Change
from ..tenants.models import Tenant
from . import actions
from .kept import OpenKeyring


class Belongings:
    """What the settings of one mount do in the transactions of others."""

    def __init__(self, keyring: OpenKeyring) -> None:
        self._keyring = keyring

    def concerns(self, operation: str, tenant: Tenant | None = None) -> bool:
        """Whether something happens with `operation`."""
        return operation in ("tenant.purge", "tenant.move")

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Nothing of it waits."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """No work on settings is under way."""

    def __call__(self, session: Session, change: Change) -> None:
        """Forget or move what the tenant sets."""
        before, after = change.before, change.after
        if change.operation == "tenant.purge":
            actions.forget(session, after.partner_id, after.id)
        elif change.operation == "tenant.move" and before is not None and before.partner_id != after.partner_id:
            actions.move(session, self._keyring(), before.partner_id, after.partner_id, after.id)
