"""How the rows of a chunk are done: many at once where that is the same, else one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..database import Session
from ..problems import ProvisioningError
from ..tenants.creating import create_many, has_repeats
from ..tenants.models import Tenant
from ..web.mount import Mount
from .checking import Checked
from .models import Job
from .operations import Setting
from .results import Result, done
from .singly import done_singly
from .together import done_together

Way = Callable[[Session, Setting, Job, Sequence[Checked]], list[Result]]

#: What hooks call that which a row of an operation does.
_DOES = {"upsert": ("tenant.create", "tenant.update")}
#: Which of them may put a tenant on another plan: the host then says what it uses, and may fail to.
_CHANGE_PLANS = ("upsert", "update")


def way(mount: Mount, operation: str) -> Way:
    """How rows of `operation` are done in this host."""
    does = _DOES.get(operation, (f"tenant.{operation}",))
    creates = "tenant.create" in does
    if any(map(mount.hooks.of, does)) or (creates and mount.storage.reacts("tenant.create")):
        return done_singly
    if mount.hooks.usages and operation in _CHANGE_PLANS:
        return done_singly
    return done_at_once if operation == "create" else done_together


def done_at_once(session: Session, setting: Setting, job: Job, rows: Sequence[Checked]) -> list[Result]:
    """Create the tenants of `rows` by one statement, unless one of them depends on what comes of another."""
    wanted = [(one, one.act.values) for one in rows if one.act is not None and one.act.values is not None]
    values = [values for _, values in wanted]
    if has_repeats(values):
        return done_together(session, setting, job, rows)
    made = create_many(session, setting.actor, setting.partner, values, setting.allowance)
    found = {id(one): _made(one, tenant) for (one, _), tenant in zip(wanted, made, strict=True)}
    return [found[id(one)] if one.act is not None else one.refused(one.problem or ProvisioningError()) for one in rows]


def _made(one: Checked, made: Tenant | ProvisioningError) -> Result:
    return done(one.row.number, 201, made) if isinstance(made, Tenant) else one.refused(made)
