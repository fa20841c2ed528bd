"""What a tenant may have on its plan: a change to one that allows less than it uses is refused."""

from __future__ import annotations

from typing import Any

from ..callables import require_done
from ..database import Session
from ..hooks import Usage
from ..plans import limits_of
from ..problems import PlanLimitExceeded
from .consulting import mapped
from .models import Tenant


def require_within(session: Session, tenant: Tenant, plan: str | None) -> None:
    """Raise `PlanLimitExceeded` where the tenant uses more of anything than `plan` allows.

    What the host does not count (`provisioning.usage`) is not looked at. Raises what its functions raise, too.
    """
    storage, hooks = session.storage, session.storage.hooks
    limits = limits_of(hooks.plans, plan)
    counted = [one for name, one in hooks.usages.items() if name in limits]
    if not counted:
        return
    with storage.context():
        used = {one.limit: _used(session, one, tenant) for one in counted}
    if exceeded := [name for name, count in used.items() if count > limits[name]]:
        found = [{"limit": name, "used": used[name], "allowed": limits[name]} for name in exceeded]
        where = "without a plan" if plan is None else f"on the plan {plan!r}"
        raise PlanLimitExceeded(f"The tenant uses more than it may {where}: {', '.join(exceeded)}.", limits=found)


def _used(session: Session, usage: Usage, tenant: Tenant) -> int:
    offered: dict[str, Any] = {"session": session.orm, "tenant": tenant.document(session.storage.hooks.fields)}
    with mapped(session):
        found = usage.function(**{name: offered[name] for name in usage.wants})
        require_done(found, f"The usage of {usage.limit!r}")
        session.flush()
    if type(found) is not int:
        raise TypeError(f"What is used of {usage.limit!r} is a number, not {found!r}.")
    return found
