"""What follows the commits, and whether anybody does it."""

from __future__ import annotations

from ...database import migration
from ...health.actions import LATE, backlog
from ...hooks import DEPROVISIONING, PROVISIONING
from .database import UPGRADE
from .findings import FAIL, OK, WARN, Finding, Patient


def keeps_up(patient: Patient) -> Finding:
    """Work that is due, of whatever kind, is done soon."""
    mount = patient.mount
    if not patient.registered:
        return Finding(OK, "nothing is mounted, and nothing to be done")
    patient.connected().close()
    if migration.current(mount.storage.engine, mount.settings.table_prefix) is None:
        return Finding(FAIL, "there are no tables", UPGRADE)
    steps = sum(len(mount.hooks.steps(phase)) for phase in (PROVISIONING, DEPROVISIONING))
    waiting = backlog(mount.storage)
    lag = max(lag for _, lag in waiting.values())
    detail = f"{mount.settings.engine}, {steps} steps, {sum(due for due, _ in waiting.values())} due"
    brought = _brought(patient)
    if brought.detail:
        detail = f"{detail}; {brought.detail}"
    if brought.status != OK or lag <= LATE:
        return brought._replace(detail=detail)
    late = ", ".join(f"{name} {due}" for name, (due, seconds) in waiting.items() if seconds > LATE)
    advice = "run `flask provisioning worker`" if mount.settings.engine == "external" else "look into the log for why"
    return Finding(WARN, f"{detail}, the first for {round(lag, 1):.0f} s (late: {late})", advice)


def _brought(patient: Patient) -> Finding:
    """Whether what is due is brought to somebody, where messages have to."""
    if patient.mount.settings.engine != "celery":
        return Finding(OK, "")
    from .messages import arrive

    return arrive(patient)
