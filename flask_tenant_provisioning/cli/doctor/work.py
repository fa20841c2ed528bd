"""What follows the commits, and whether anybody does it."""

from __future__ import annotations

from ...database import migration
from ...health.actions import health
from ...hooks import DEPROVISIONING, PROVISIONING
from .database import UPGRADE
from .findings import FAIL, OK, WARN, Finding, Patient


def keeps_up(patient: Patient) -> Finding:
    """Steps, events and webhooks that are due are turned to soon."""
    mount = patient.mount
    if not patient.registered:
        return Finding(OK, "nothing is mounted, and nothing to be done")
    patient.connected().close()
    if migration.current(mount.storage.engine, mount.settings.table_prefix) is None:
        return Finding(FAIL, "there are no tables", UPGRADE)
    steps = sum(len(mount.hooks.steps(phase)) for phase in (PROVISIONING, DEPROVISIONING))
    found = health(mount.storage)["worker"]
    detail = f"{mount.settings.engine}, {steps} steps, {found['due']} due"
    brought = _brought(patient)
    if brought.detail:
        detail = f"{detail}; {brought.detail}"
    if brought.status != OK or found["status"] == "ok":
        return brought._replace(detail=detail)
    advice = "run `flask provisioning worker`" if mount.settings.engine == "external" else "look into the log for why"
    return Finding(WARN, f"{detail}, the first for {found['lag_seconds']:.0f} s", advice)


def _brought(patient: Patient) -> Finding:
    """Whether what is due is brought to somebody, where messages have to."""
    if patient.mount.settings.engine != "celery":
        return Finding(OK, "")
    from .messages import arrive

    return arrive(patient)
