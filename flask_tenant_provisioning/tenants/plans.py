"""The plans that a partner may use, and the plan limits that apply when a tenant changes its plan."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..database.session import Session
from ..errors import PlanLimitExceeded, PlanNotAllowed
from ..hooks import require_result
from ..partners import actions
from ..registry import UsageFunction, get_plan_limits
from .hook_runner import map_host_errors
from .models import Tenant, render_tenant_document


def load_allowed_plans(session: Session, partner: str) -> list[str] | None:
    """Load the plans that `partner` may use; None if all are allowed."""
    row = actions.find_partner(session, partner)
    return row.list_allowed_plans() if row else None


def find_plan_problem(plan: str | None, allowed: list[str] | None) -> PlanNotAllowed | None:
    """Return the problem of using `plan` if it is not in `allowed`, else None. A tenant without a plan is allowed."""
    if plan is None or allowed is None or plan in allowed:
        return None
    return PlanNotAllowed(f"The partner may not put a tenant on the plan {plan!r}.", plan=plan, allowed=allowed)


def require_plan_allowed(session: Session, partner: str, plan: str | None) -> None:
    """Raise `PlanNotAllowed` if `partner` may not use `plan`."""
    if plan is None:
        return
    problem = find_plan_problem(plan, load_allowed_plans(session, partner))
    if problem is not None:
        raise problem


def require_plan_change(
    session: Session, before: Tenant, after: Tenant, check_version: Callable[[], None] = lambda: None
) -> None:
    """Raise `PlanNotAllowed` or `PlanLimitExceeded` if the tenant may not change to the plan of `after`.

    `check_version` is called between the two checks, even if the plan does not change; its errors are raised.
    """
    if after.plan != before.plan:
        require_plan_allowed(session, after.partner_id, after.plan)
    check_version()
    if after.plan != before.plan:
        require_plan_limits(session, before, after.plan)


def require_plan_limits(session: Session, tenant: Tenant, plan: str | None) -> None:
    """Raise `PlanLimitExceeded` if the tenant's usage exceeds a limit of `plan`.

    Only limits with a usage function of the host (`provisioning.usage`) are checked; errors of these are raised.
    """
    storage, registry = session.storage, session.storage.registry
    limits = get_plan_limits(registry.plans, plan)
    usages = [usage for name, usage in registry.usages.items() if name in limits]
    if not usages:
        return
    with storage.context():
        used = {usage.limit: _count_usage(session, usage, tenant) for usage in usages}
    exceeded = [name for name, count in used.items() if count > limits[name]]
    if exceeded:
        details = [{"limit": name, "used": used[name], "allowed": limits[name]} for name in exceeded]
        where = "without a plan" if plan is None else f"on the plan {plan!r}"
        raise PlanLimitExceeded(f"The tenant uses more than it may {where}: {', '.join(exceeded)}.", limits=details)


def _count_usage(session: Session, usage: UsageFunction, tenant: Tenant) -> int:
    arguments: dict[str, Any] = {
        "session": session.orm,
        "tenant": render_tenant_document(tenant, session.storage.registry.fields),
    }
    with map_host_errors(session):
        count = usage.function(**{name: arguments[name] for name in usage.arguments})
        require_result(count, f"The usage of {usage.limit!r}")
        session.flush()
    if type(count) is not int:
        raise TypeError(f"The usage function of {usage.limit!r} must return an int, not {count!r}.")
    return count
