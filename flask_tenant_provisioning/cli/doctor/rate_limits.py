"""Check of rate limits: whether partners have any, and where their requests are counted."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from ...config_checks import INSTALL_LIMITER, MEMORY_STORAGE, has_flask_limiter
from ...mount import Mount
from ...rate_limits import LIMITER_ENABLED_KEY, find_host_limiter, get_request_counter
from .context import FAIL, OK, WARN, DoctorContext, Finding

RATE_LIMITS_KEY = "PROVISIONING_RATE_LIMITS"
SUGGESTED_LIMITS = {"read": "1200/minute", "write": "300/minute", "bulk": "30/minute"}
STORAGE_KEY = "PROVISIONING_RATE_LIMIT_STORAGE"
_SHARED_STORAGE_ADVICE = f"set {STORAGE_KEY} to a Redis, unless one process serves"


def check_rate_limits(context: DoctorContext) -> Finding:
    """Where there are limits, requests are counted for all processes together, and soon."""
    mount = context.mount
    if not context.is_served:
        return Finding(OK, "nothing is mounted, and nothing to be counted")
    if not mount.settings.rate_limits and mount.hooks.rate_limits is None:
        return _check_missing_limits(context)
    try:
        limiter = get_request_counter(mount).limiter
        if limiter is None or not limiter.enabled:
            return Finding(WARN, f"off: {LIMITER_ENABLED_KEY} turns Flask-Limiter off", "partners have no limits here")
        storage: Any = limiter.storage
        answers = storage.check()
    except Exception as error:
        return Finding(FAIL, f"nothing counts: {type(error).__name__}", f"correct {STORAGE_KEY}")
    detail = f"{_describe_limits(mount)}; {_describe_storage(mount, storage)}"
    if not answers:
        return Finding(WARN, f"{detail} does not answer: nobody is refused", "start it")
    return _check_storage(context, storage, detail)


def _check_missing_limits(context: DoctorContext) -> Finding:
    """There are no limits: as it was mount, or since none was thought of."""
    if RATE_LIMITS_KEY in context.app.config:
        return Finding(OK, f"off: {RATE_LIMITS_KEY} names none")
    advice = f"set {RATE_LIMITS_KEY} = {SUGGESTED_LIMITS}, or {{}} where a proxy limits partners"
    if not has_flask_limiter():
        advice = f"{INSTALL_LIMITER}, and {advice}"
    return Finding(
        WARN, f"off: {RATE_LIMITS_KEY} is not set, and one partner's requests can slow down all others'", advice
    )


def _check_storage(context: DoctorContext, storage: Any, detail: str) -> Finding:
    """What is to be said of a storage that answers."""
    hosts = find_host_limiter(context.mount) is not None
    if type(storage).__name__ == "MemoryStorage":
        advice = "give your Limiter a storage_uri, unless one process serves" if hosts else _SHARED_STORAGE_ADVICE
        return Finding(WARN, f"{detail}: each process counts by itself", advice)
    if hosts and _has_no_timeout(storage):
        advice = "give your Limiter storage_options={'socket_timeout': 0.25, 'socket_connect_timeout': 0.25}"
        return Finding(WARN, f"{detail}, for whose answer requests wait without end", advice)
    if hosts and context.mount.settings.rate_limit_storage != MEMORY_STORAGE:
        return Finding(
            WARN, f"{detail}; {STORAGE_KEY} is without effect", "remove it: the app has a Limiter of its own"
        )
    return Finding(OK, detail)


def _describe_limits(mount: Mount) -> str:
    """The limits as they were written."""
    found = [f"{kind} {text}" for kind, text in mount.settings.rate_limits.items()]
    return ", ".join([*found, *(["the host's function"] if mount.hooks.rate_limits else [])])


def _describe_storage(mount: Mount, storage: Any) -> str:
    """Where requests are counted, without user, password and query."""
    if find_host_limiter(mount) is not None:
        return f"the {type(storage).__name__} of the app's Limiter"
    url = urlsplit(mount.settings.rate_limit_storage)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _has_no_timeout(storage: Any) -> bool:
    """Whether its driver, where that is Redis', has no limit for an answer; what it has by default differs."""
    pool = getattr(getattr(storage, "storage", None), "connection_pool", None)
    if pool is None:
        return False
    return getattr(pool.connection_class(**pool.connection_kwargs), "socket_timeout", 0) is None
