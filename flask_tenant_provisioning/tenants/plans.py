"""The plans that a partner's tenants may be on, and the plan limits of a tenant that changes its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..database.session import Session
from ..errors import PlanLimitExceeded, PlanNotAllowed
from ..hooks import require_result
from ..partners import actions
from ..registry import UsageFunction, get_plan_limits
from .hook_runner import map_host_errors
from .models import Tenant


def load_allowed_plans(session: Session, partner: str) -> list[str] | None:
    """The plans on which `partner` may put a tenant at this moment; None where any will do."""
    found = actions.find_partner(session, partner)
    return found.plans() if found else None


def find_plan_problem(plan: str | None, allowed: list[str] | None) -> PlanNotAllowed | None:
    """The problem of whoever wants `plan` out of those `allowed`; to be on none is always allowed."""
    if plan is None or allowed is None or plan in allowed:
        return None
    return PlanNotAllowed(f"The partner may not put a tenant on the plan {plan!r}.", plan=plan, allowed=allowed)


def require_plan_allowed(session: Session, partner: str, plan: str | None) -> None:
    """Raise `PlanNotAllowed` where `partner` may not put a tenant on `plan`."""
    if plan is not None and (problem := find_plan_problem(plan, load_allowed_plans(session, partner))):
        raise problem


def require_plan_change(
    session: Session, before: Tenant, after: Tenant, expected: Callable[[], None] = lambda: None
) -> None:
    """Raise `PlanNotAllowed` or `PlanLimitExceeded` where the tenant must not go from its plan to that of `after`.

    Between the two `expected` raises what it raises, whether the plan changes or not.
    """
    if after.plan != before.plan:
        require_plan_allowed(session, after.partner_id, after.plan)
    expected()
    if after.plan != before.plan:
        require_plan_limits(session, before, after.plan)


def require_plan_limits(session: Session, tenant: Tenant, plan: str | None) -> None:
    """Raise `PlanLimitExceeded` where the tenant uses more of anything than `plan` allows.

    What the host does not count (`provisioning.usage`) is not looked at. Raises what its functions raise, too.
    """
    storage, hooks = session.storage, session.storage.hooks
    limits = get_plan_limits(hooks.plans, plan)
    counted = [one for name, one in hooks.usages.items() if name in limits]
    if not counted:
        return
    with storage.context():
        used = {one.limit: _count_usage(session, one, tenant) for one in counted}
    if exceeded := [name for name, count in used.items() if count > limits[name]]:
        found = [{"limit": name, "used": used[name], "allowed": limits[name]} for name in exceeded]
        where = "without a plan" if plan is None else f"on the plan {plan!r}"
        raise PlanLimitExceeded(f"The tenant uses more than it may {where}: {', '.join(exceeded)}.", limits=found)


def _count_usage(session: Session, usage: UsageFunction, tenant: Tenant) -> int:
    offered: dict[str, Any] = {"session": session.orm, "tenant": tenant.document(session.storage.hooks.fields)}
    with map_host_errors(session):
        found = usage.function(**{name: offered[name] for name in usage.arguments})
        require_result(found, f"The usage of {usage.limit!r}")
        session.flush()
    if type(found) is not int:
        raise TypeError(f"What is used of {usage.limit!r} is a number, not {found!r}.")
    return found
