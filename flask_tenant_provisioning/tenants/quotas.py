"""How a partner's limit takes effect: its counter begins, changes and ends in the transaction that says so."""

from __future__ import annotations

from typing import Any

from ..database import Session
from ..partners.actions import UPDATE
from .usage import limit


class Quotas:
    """What one mount does about limits when a partner changes; processes remember partners for `memory` seconds."""

    def __init__(self, memory: float) -> None:
        self._memory = memory

    def concerns(self, operation: str, tenant: Any = None) -> bool:
        """Whether something happens with `operation`."""
        return operation == UPDATE

    def defers(self, session: Session, operation: str, tenant: Any) -> bool:
        """A limit ends with its transaction."""
        return False

    def require_ready(self, session: Session, operation: str, tenant: Any) -> None:
        """No work on limits is under way."""

    def __call__(self, session: Session, change: Any) -> None:
        """Count from now on, by another limit, or no more."""
        if change.operation != UPDATE:
            return
        before = change.before.max_tenants if change.before else None
        if change.after.max_tenants != before:
            limit(session, change.after.partner_id, change.after.max_tenants, self._memory)
