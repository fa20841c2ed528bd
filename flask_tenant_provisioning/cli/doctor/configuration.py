"""Checks of the `PROVISIONING_*` keys, of the licence, and of the networks that webhooks can reach."""

from __future__ import annotations

import dataclasses
import difflib
import time
from ipaddress import ip_network
from typing import Any

from sqlalchemy import func, select

from ...config import PREFIX, Config, ConfigurationError
from ...licensing.document import ANY_INSTALL, License, LicenseError, State
from ...licensing.source import RENEW_ADVICE
from ..license import format_license_state
from .context import FAIL, ISOLATE_ADVICE, OK, WARN, DoctorContext, Finding


def check_configuration(context: DoctorContext) -> Finding:
    """Every key exists, has a value that can be used, and does not contradict another."""
    config = context.app.config
    known = [PREFIX + field.name.upper() for field in dataclasses.fields(Config)]
    given = {key: config[key] for key in config if key.startswith(PREFIX)}
    if unknown := sorted(given.keys() - {*known}):
        advice = [near for key in unknown for near in difflib.get_close_matches(key, known, n=1)]
        return Finding(
            WARN, f"there is no {', '.join(unknown)}", f"did you mean {', '.join(advice)}?" if advice else ""
        )
    try:
        Config.read(given, {})
    except ConfigurationError as error:
        # `init_app` refuses such a value, so it came later or this mount has another.
        return Finding(WARN, " ".join(str(error).split("\n")), "it has no effect on this mount; correct it")
    return _find_contradiction(context.mount.config) or Finding(OK, f"{len(given)} of {len(known)} keys are set")


def _find_contradiction(settings: Config) -> Finding | None:
    if settings.jwt_overrides and settings.mount != "isolated":
        names = ", ".join(PREFIX + name for name in settings.jwt_overrides)
        return Finding(WARN, f"{names}: without effect on a blueprint", f"{ISOLATE_ADVICE}, or use JWT_*")
    if settings.license and settings.license_file:
        detail = f"{PREFIX}LICENSE and {PREFIX}LICENSE_FILE are both set, and the file counts"
        return Finding(WARN, detail, "keep one of them")
    if strangers := [role for role in settings.admin_roles if role not in settings.roles]:
        detail = f"{PREFIX}ADMIN_ROLES names {', '.join(strangers)}, which {PREFIX}ROLES does not"
        return Finding(WARN, detail, "give the role permissions, or take it out")
    return None


_NEARLY_USED = 0.9


def check_license(context: DoctorContext) -> Finding:
    """The licence verifies, is for this installation, and has not ended."""
    if context.mount.config.edition == "community":
        return Finding(OK, "the edition is community: it needs none, and nothing is mounted")
    try:
        license = context.mount.license.load()
    except LicenseError as error:
        return Finding(FAIL, error.reason, error.advice)
    now = time.time()
    detail = f"{license.id} of {license.customer}, {_describe_install(license)}, {format_license_state(license, now)}"
    state = license.state(now)
    if state is State.VALID:
        return Finding(OK, detail)
    return Finding(FAIL if state is State.EXPIRED else WARN, detail, RENEW_ADVICE)


def check_tenant_limit(context: DoctorContext) -> Finding:
    """There is room for more tenants."""
    most = context.mount.license.max_tenants
    if most is None:
        return Finding(OK, "no limit")
    tenants = context.mount.storage.table("tenants")
    with context.connect() as connection:
        used = connection.scalar(select(func.count()).select_from(tenants).where(tenants.c.live == 1)) or 0
    if used >= most:
        return Finding(WARN, f"{used} of {most}: no more can be created", "ask the vendor for a larger licence")
    if used >= most * _NEARLY_USED:
        return Finding(WARN, f"{used} of {most}", "ask the vendor for a larger licence in time")
    return Finding(OK, f"{used} of {most}")


def _describe_install(license: License) -> str:
    return "for any installation" if ANY_INSTALL in license.install else f"for {', '.join(license.install)}"


NETWORKS_KEY = "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS"
#: This machine, and what clouds tell a machine of itself.
_LOCAL_NETWORKS = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))


def check_webhook_reach(context: DoctorContext) -> Finding:
    """No partner can have webhooks sent to this machine."""
    settings = context.mount.config
    ports = f"port {', '.join(map(str, settings.webhook_ports))}" if settings.webhook_ports else "any port"
    networks = settings.webhook_allowed_networks
    detail = f"{' and '.join(settings.webhook_schemes)}, {ports}"
    if not networks:
        return Finding(OK, f"{detail}, and no internal network")
    shown = ", ".join(map(str, networks))
    detail = f"{detail}, and internally {shown}: whoever may manage webhooks reaches all of that"
    if any(_has_overlap(network, near) for network in networks for near in _LOCAL_NETWORKS):
        return Finding(WARN, f"{detail}, this machine too", f"narrow {NETWORKS_KEY}, unless it is for development")
    return Finding(OK, detail)


def _has_overlap(one: Any, other: Any) -> bool:
    return one.version == other.version and bool(one.overlaps(other))
