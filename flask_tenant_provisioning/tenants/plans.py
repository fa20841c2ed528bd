"""Which plan a tenant may be put on; the one that it is on is nobody's concern."""

from __future__ import annotations

from collections.abc import Callable

from ..database import Session
from ..partners import actions
from ..problems import PlanNotAllowed
from .limits import require_within
from .models import Tenant


def allowed(session: Session, partner: str) -> list[str] | None:
    """The plans on which `partner` may put a tenant at this moment; None where any will do."""
    found = actions.find(session, partner)
    return found.plans() if found else None


def refusal(plan: str | None, allowed: list[str] | None) -> PlanNotAllowed | None:
    """The problem of whoever wants `plan` out of those `allowed`; to be on none is always allowed."""
    if plan is None or allowed is None or plan in allowed:
        return None
    return PlanNotAllowed(f"The partner may not put a tenant on the plan {plan!r}.", plan=plan, allowed=allowed)


def require_allowed(session: Session, partner: str, plan: str | None) -> None:
    """Raise `PlanNotAllowed` where `partner` may not put a tenant on `plan`."""
    if plan is not None and (problem := refusal(plan, allowed(session, partner))):
        raise problem


def require_change(
    session: Session, before: Tenant, after: Tenant, expected: Callable[[], None] = lambda: None
) -> None:
    """Raise `PlanNotAllowed` or `PlanLimitExceeded` where the tenant must not go from its plan to that of `after`.

    Between the two `expected` raises what it raises, whether the plan changes or not.
    """
    if after.plan != before.plan:
        require_allowed(session, after.partner_id, after.plan)
    expected()
    if after.plan != before.plan:
        require_within(session, before, after.plan)
