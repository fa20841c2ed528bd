"""What follows the commits, and whether anybody does it."""

from __future__ import annotations

from ...health.actions import health
from ...hooks import DEPROVISIONING, PROVISIONING
from .findings import OK, WARN, Finding, Patient


def keeps_up(patient: Patient) -> Finding:
    """The steps that are due are done soon."""
    mount = patient.mount
    patient.connected().close()
    steps = sum(len(mount.hooks.steps(phase)) for phase in (PROVISIONING, DEPROVISIONING))
    found = health(mount.storage)["worker"]
    detail = f"{mount.settings.engine}, {steps} steps, {found['due']} due"
    if found["status"] == "ok":
        return Finding(OK, detail)
    advice = "run `flask provisioning worker`" if mount.settings.engine == "external" else "look into the log for why"
    return Finding(WARN, f"{detail}, the first for {found['lag_seconds']:.0f} s", advice)
