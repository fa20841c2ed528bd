"""Make, send, hold, revoke, move and delete invitations in the transactions that change their tenants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..database.session import Session
from ..keyring import Keyring
from ..registry import Registry
from ..tenants.models import Tenant
from ..tenants.mutations import AdminRequest, TenantChange
from . import actions
from .actions import Rules

#: The operations that matter only where the host sends invitations, and those that always do.
_INVITING = frozenset({"tenant.invite", "tenant.provision", "tenant.suspend", "tenant.reactivate", "tenant.delete"})
_ALWAYS = frozenset({"tenant.move", "tenant.retire", "tenant.purge"})


class InvitationsReaction:
    """Reaction to changes of tenants: applies them to the invitations of one mount, in the same transaction.

    A creation is none of them, so that bulk jobs create tenants by one statement; the administrators that new tenants
    name come as an `AdminRequest`. Invitations can be accepted for `seconds`.
    """

    def __init__(self, registry: Registry, seconds: int, keyring: Callable[[], Keyring]) -> None:
        self._registry, self._seconds, self._keyring = registry, seconds, keyring

    def concerns(self, operation: str) -> bool:
        """Return whether `operation` affects invitations."""
        return operation in _ALWAYS or (operation in _INVITING and self._registry.invite is not None)

    def defers(self, session: Session, operation: str, tenant: Tenant | None) -> bool:
        """Return False: invitations never defer an operation."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Tenant) -> None:
        """Do nothing: invitations never block an operation."""

    def __call__(self, session: Session, change: TenantChange | AdminRequest | Any) -> None:
        """Apply the change to the tenant's invitations."""
        if isinstance(change, AdminRequest):
            actions.create_many(
                session, change.actor, Rules(self._keyring(), self._seconds, 1, is_available=True), change.admins
            )
            return
        tenant = change.after
        match change.operation:
            case "tenant.provision" | "tenant.reactivate":
                actions.release_waiting(session, change.actor, tenant, self._seconds)
            case "tenant.suspend":
                actions.hold_sending(session, change.actor, tenant)
            case "tenant.delete":
                actions.revoke_open(session, change.actor, tenant)
            case "tenant.move":
                actions.move(session, change.before or tenant, tenant)
            case _:
                actions.delete_of_tenant(session, tenant)
