"""Whether partners have rate limits, and where their requests are counted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...config.rates import INSTALL, MEMORY, can_limit
from ...limiting.budgets import budgets
from ...limiting.limiters import ENABLED, hosts_limiter
from ...web.mount import Mount
from .findings import FAIL, OK, WARN, Finding, Patient

KEY = "PROVISIONING_RATE_LIMITS"
SUGGESTED = {"read": "1200/minute", "write": "300/minute", "bulk": "30/minute"}
STORAGE = "PROVISIONING_RATE_LIMIT_STORAGE"
_SHARED = f"set {STORAGE} to a Redis, unless one process serves"


def are_counted(patient: Patient) -> Finding:
    """Where there are limits, requests are counted for all processes together, and soon."""
    mount = patient.mount
    if not patient.registered:
        return Finding(OK, "nothing is mounted, and nothing to be counted")
    if not mount.settings.rate_limits and mount.hooks.rate_limits is None:
        return _off(patient)
    try:
        limiter = budgets(mount).limiter
        if limiter is None or not limiter.enabled:
            return Finding(WARN, f"off: {ENABLED} turns Flask-Limiter off", "partners have no limits here")
        storage: Any = limiter.storage
        answers = storage.check()
    except Exception as error:
        return Finding(FAIL, f"nothing counts: {type(error).__name__}", f"correct {STORAGE}")
    detail = f"{_limits(mount)}; {_place(mount, storage)}"
    if not answers:
        return Finding(WARN, f"{detail} does not answer: nobody is refused", "start it")
    return _judged(patient, storage, detail)


def _off(patient: Patient) -> Finding:
    """There are no limits: as it was chosen, or since none was thought of."""
    if KEY in patient.app.config:
        return Finding(OK, f"off: {KEY} names none")
    advice = f"set {KEY} = {SUGGESTED}, or {{}} where a proxy limits partners"
    if not can_limit():
        advice = f"{INSTALL}, and {advice}"
    return Finding(WARN, f"off: {KEY} is not set, and one partner's requests can slow down all others'", advice)


def _judged(patient: Patient, storage: Any, detail: str) -> Finding:
    """What is to be said of a storage that answers."""
    hosts = hosts_limiter(patient.mount) is not None
    if type(storage).__name__ == "MemoryStorage":
        advice = "give your Limiter a storage_uri, unless one process serves" if hosts else _SHARED
        return Finding(WARN, f"{detail}: each process counts by itself", advice)
    if hosts and _waits_for_ever(storage):
        advice = "give your Limiter storage_options={'socket_timeout': 0.25, 'socket_connect_timeout': 0.25}"
        return Finding(WARN, f"{detail}, for whose answer requests wait without end", advice)
    if hosts and patient.mount.settings.rate_limit_storage != MEMORY:
        return Finding(WARN, f"{detail}; {STORAGE} is without effect", "remove it: the app has a Limiter of its own")
    return Finding(OK, detail)


def _limits(mount: Mount) -> str:
    """The limits as they were written."""
    found = [f"{kind} {text}" for kind, text in mount.settings.rate_limits.items()]
    return ", ".join([*found, *(["the host's function"] if mount.hooks.rate_limits else [])])


def _place(mount: Mount, storage: Any) -> str:
    """Where requests are counted, without user, password and query."""
    if hosts_limiter(mount) is not None:
        return f"the {type(storage).__name__} of the app's Limiter"
    url = urlsplit(mount.settings.rate_limit_storage)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _waits_for_ever(storage: Any) -> bool:
    """Whether its driver, where that is Redis', has no limit for an answer; what it has by default differs."""
    pool = getattr(getattr(storage, "storage", None), "connection_pool", None)
    if pool is None:
        return False
    return getattr(pool.connection_class(**pool.connection_kwargs), "socket_timeout", 0) is None
