"""Whether the secrets in settings can be read."""

from __future__ import annotations

import json

from ...database import Session
from ...keyring import Keyring, Unsealable
from ...settings.kept import Place, flat
from ...settings.models import Stored
from ...settings.statements import SettingsSQL
from .findings import FAIL, KEYS, OK, WARN, Finding, Patient

#: How many tenants and partners that set anything are looked at.
_LOOKED_AT = 1000


def can_be_opened(patient: Patient) -> Finding:
    """The keys open the secrets in settings, and are not derived from one that is changed for other reasons."""
    mount = patient.mount
    if unseen := patient.unseen("opened"):
        return unseen
    found = [_opens(mount.keyring, row) for row in mount.storage.read(_first) if row.secrets]
    if not found:
        return Finding(OK, "no settings hold a secret")
    if closed := found.count(False):
        advice = f"put the key back that sealed them, behind the others in {KEYS}, or have them set anew"
        detail = f"{KEYS} do not open the secrets in {closed} of {len(found)} settings"
        return Finding(FAIL if closed == len(found) else WARN, detail, advice)
    if mount.settings.encryption_keys:
        return Finding(OK, f"{KEYS} open the secrets in {len(found)} settings")
    detail = f"the secrets in {len(found)} settings are lost with the app's secret key, which seals them"
    return Finding(WARN, detail, f"set {KEYS}: a new key, and that secret behind it; then `rekey`")


def _first(session: Session) -> list[Stored]:
    start = {"after_partner_id": "", "after_tenant_id": "", "limit": _LOOKED_AT}
    rows = session.run(session.storage.once(SettingsSQL).every, start).fetchall()
    return [Stored._make(row) for row in rows]


def _opens(keyring: Keyring, row: Stored) -> bool:
    place = Place(row.partner_id, row.tenant_id)
    try:
        for path, text in flat(json.loads(row.secrets or "{}")).items():
            keyring.open(text, place.bound_to(path))
    except Unsealable:
        return False
    return True
