"""Checks of the `PROVISIONING_*` keys, the licence, and the networks that webhooks can reach."""

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
    """Check that every key exists, has a valid value, and does not contradict another."""
    config = context.app.config
    keys = [PREFIX + field.name.upper() for field in dataclasses.fields(Config)]
    values = {key: config[key] for key in config if key.startswith(PREFIX)}
    unknown = sorted(values.keys() - {*keys})
    if unknown:
        matches = [match for key in unknown for match in difflib.get_close_matches(key, keys, n=1)]
        advice = f"did you mean {', '.join(matches)}?" if matches else ""
        return Finding(WARN, f"there is no {', '.join(unknown)}", advice)
    try:
        Config.read(values, {})
    except ConfigurationError as error:
        # `init_app` refuses such a value, so it was set later, or this mount has another value.
        return Finding(WARN, " ".join(str(error).split("\n")), "it has no effect on this mount; correct it anyway")
    return _find_contradiction(context.mount.config) or Finding(OK, f"{len(values)} of {len(keys)} keys are set")


def _find_contradiction(config: Config) -> Finding | None:
    if config.jwt_overrides and config.mount != "isolated":
        names = ", ".join(PREFIX + name for name in config.jwt_overrides)
        return Finding(WARN, f"{names}: no effect on a mount that is a blueprint", f"{ISOLATE_ADVICE}, or use JWT_*")
    if config.license and config.license_file:
        detail = f"{PREFIX}LICENSE and {PREFIX}LICENSE_FILE are both set; the file is used"
        return Finding(WARN, detail, "keep one of them")
    unknown = [role for role in config.admin_roles if role not in config.roles]
    if unknown:
        detail = f"{PREFIX}ADMIN_ROLES names {', '.join(unknown)}, which {PREFIX}ROLES does not define"
        return Finding(WARN, detail, "define the role there, or remove it")
    return None


_NEARLY_USED = 0.9


def check_license(context: DoctorContext) -> Finding:
    """Check that the licence is valid, is for this installation, and has not expired."""
    if context.mount.config.edition == "community":
        return Finding(OK, "none needed: PROVISIONING_EDITION is 'community', and nothing is mounted")
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
    """Check that the licence allows more tenants."""
    limit = context.mount.license.max_tenants
    if limit is None:
        return Finding(OK, "no limit")
    tenants = context.mount.storage.table("tenants")
    with context.connect() as connection:
        used = connection.scalar(select(func.count()).select_from(tenants).where(tenants.c.live == 1)) or 0
    if used >= limit:
        return Finding(WARN, f"{used} of {limit}: no more can be created", "ask the vendor for a larger licence")
    if used >= limit * _NEARLY_USED:
        return Finding(WARN, f"{used} of {limit}", "ask the vendor for a larger licence in time")
    return Finding(OK, f"{used} of {limit}")


def _describe_install(license: License) -> str:
    return "for any installation" if ANY_INSTALL in license.install else f"for {', '.join(license.install)}"


NETWORKS_KEY = "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS"
#: Loopback and link-local networks: this machine, and the metadata services of clouds.
_LOCAL_NETWORKS = tuple(map(ip_network, ("127.0.0.0/8", "169.254.0.0/16", "::1/128", "fe80::/10")))


def check_webhook_reach(context: DoctorContext) -> Finding:
    """Check that webhooks cannot reach this machine."""
    config = context.mount.config
    ports = f"port {', '.join(map(str, config.webhook_ports))}" if config.webhook_ports else "any port"
    networks = config.webhook_allowed_networks
    detail = f"{' and '.join(config.webhook_schemes)}, {ports}"
    if not networks:
        return Finding(OK, f"{detail}, and no internal network")
    detail = f"{detail}, and internal networks {', '.join(map(str, networks))}, open to all who may manage webhooks"
    if any(_has_overlap(network, local) for network in networks for local in _LOCAL_NETWORKS):
        return Finding(WARN, f"{detail}; this machine is among them", f"narrow {NETWORKS_KEY}, except for development")
    return Finding(OK, detail)


def _has_overlap(network: Any, other: Any) -> bool:
    return network.version == other.version and bool(network.overlaps(other))
