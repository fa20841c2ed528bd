"""The licence, and how much of it is used."""

from __future__ import annotations

import time

from sqlalchemy import func, select

from ...licensing import License, LicenseError, State
from ...licensing.document import ANY_INSTALL
from ...licensing.source import RENEW
from ..license.description import standing
from .findings import FAIL, OK, WARN, Finding, Patient

_NEARLY = 0.9


def in_force(patient: Patient) -> Finding:
    """The licence verifies, is for this installation, and has not ended."""
    if patient.mount.settings.edition == "community":
        return Finding(OK, "the edition is community: it needs none, and nothing is mounted")
    try:
        license = patient.mount.license.load()
    except LicenseError as error:
        return Finding(FAIL, error.reason, error.advice)
    now = time.time()
    detail = f"{license.id} of {license.customer}, {_install(license)}, {standing(license, now)}"
    state = license.state(now)
    if state is State.VALID:
        return Finding(OK, detail)
    return Finding(FAIL if state is State.EXPIRED else WARN, detail, RENEW)


def below_limit(patient: Patient) -> Finding:
    """There is room for more tenants."""
    most = patient.mount.license.max_tenants
    if most is None:
        return Finding(OK, "no limit")
    tenants = patient.mount.storage.table("tenants")
    with patient.connected() as connection:
        used = connection.scalar(select(func.count()).select_from(tenants).where(tenants.c.live == 1)) or 0
    if used >= most:
        return Finding(WARN, f"{used} of {most}: no more can be created", "ask the vendor for a larger licence")
    if used >= most * _NEARLY:
        return Finding(WARN, f"{used} of {most}", "ask the vendor for a larger licence in time")
    return Finding(OK, f"{used} of {most}")


def _install(license: License) -> str:
    return "for any installation" if ANY_INSTALL in license.install else f"for {', '.join(license.install)}"
