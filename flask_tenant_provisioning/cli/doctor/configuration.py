"""The ``PROVISIONING_*`` keys."""

from __future__ import annotations

import dataclasses
import difflib

from ...config import PREFIX, ConfigurationError, Settings
from .findings import ISOLATE, OK, WARN, Finding, Patient


def keys_are_known(patient: Patient) -> Finding:
    """Every key exists, has a value that can be used, and does not contradict another."""
    config = patient.app.config
    known = [PREFIX + field.name.upper() for field in dataclasses.fields(Settings)]
    given = {key: config[key] for key in config if key.startswith(PREFIX)}
    if unknown := sorted(given.keys() - {*known}):
        advice = [near for key in unknown for near in difflib.get_close_matches(key, known, n=1)]
        return Finding(
            WARN, f"there is no {', '.join(unknown)}", f"did you mean {', '.join(advice)}?" if advice else ""
        )
    try:
        Settings.read(given, {})
    except ConfigurationError as error:
        # `init_app` refuses such a value, so it came later or this mount has another.
        return Finding(WARN, " ".join(str(error).split("\n")), "it has no effect on this mount; correct it")
    return _contradiction(patient.mount.settings) or Finding(OK, f"{len(given)} of {len(known)} keys are set")


def _contradiction(settings: Settings) -> Finding | None:
    if settings.own_jwt and settings.mount != "isolated":
        names = ", ".join(PREFIX + name for name in settings.own_jwt)
        return Finding(WARN, f"{names}: without effect on a blueprint", f"{ISOLATE}, or use JWT_*")
    if settings.license and settings.license_file:
        detail = f"{PREFIX}LICENSE and {PREFIX}LICENSE_FILE are both set, and the file counts"
        return Finding(WARN, detail, "keep one of them")
    if strangers := [role for role in settings.admin_roles if role not in settings.roles]:
        detail = f"{PREFIX}ADMIN_ROLES names {', '.join(strangers)}, which {PREFIX}ROLES does not"
        return Finding(WARN, detail, "give the role permissions, or take it out")
    return None
