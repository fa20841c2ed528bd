"""Check of rate limits: partners have some, and their requests are counted in a shared storage."""

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
_SHARED_STORAGE_ADVICE = f"set {STORAGE_KEY} to a Redis URL, unless a single process serves the app"


def check_rate_limits(context: DoctorContext) -> Finding:
    """Check that limits are set, and that their storage is shared by all processes and responds."""
    mount = context.mount
    if not context.is_served:
        return Finding(OK, "nothing is mounted, so nothing is counted")
    if not mount.config.rate_limits and mount.registry.rate_limits is None:
        return _check_missing_limits(context)
    try:
        limiter = get_request_counter(mount).limiter
        if limiter is None or not limiter.enabled:
            return Finding(WARN, f"off: {LIMITER_ENABLED_KEY} turns Flask-Limiter off", "partners have no limits")
        storage: Any = limiter.storage
        is_reachable = storage.check()
    except Exception as error:
        return Finding(FAIL, f"requests are not counted: {type(error).__name__}", f"correct {STORAGE_KEY}")
    detail = f"{_describe_limits(mount)}; {_describe_storage(mount, storage)}"
    if not is_reachable:
        return Finding(WARN, f"{detail} cannot be reached: no request is limited", "start it")
    return _check_storage(context, storage, detail)


def _check_missing_limits(context: DoctorContext) -> Finding:
    """Return the finding for a mount without limits: ok if they are turned off explicitly, else a warning."""
    if RATE_LIMITS_KEY in context.app.config:
        return Finding(OK, f"off: {RATE_LIMITS_KEY} is empty")
    advice = f"set {RATE_LIMITS_KEY} = {SUGGESTED_LIMITS}, or {{}} if a proxy limits partners"
    if not has_flask_limiter():
        advice = f"{INSTALL_LIMITER}, and {advice}"
    return Finding(
        WARN, f"off: {RATE_LIMITS_KEY} is not set, and one partner's requests can slow down all others", advice
    )


def _check_storage(context: DoctorContext, storage: Any, detail: str) -> Finding:
    """Return the finding for a storage that can be reached."""
    uses_host_limiter = find_host_limiter(context.mount) is not None
    if type(storage).__name__ == "MemoryStorage":
        advice = _SHARED_STORAGE_ADVICE
        if uses_host_limiter:
            advice = "give your Limiter a storage_uri, unless a single process serves the app"
        return Finding(WARN, f"{detail}: each process counts separately", advice)
    if uses_host_limiter and _has_no_timeout(storage):
        advice = "give your Limiter storage_options={'socket_timeout': 0.25, 'socket_connect_timeout': 0.25}"
        return Finding(WARN, f"{detail}, which has no timeout: requests may wait for it forever", advice)
    if uses_host_limiter and context.mount.config.rate_limit_storage != MEMORY_STORAGE:
        return Finding(WARN, f"{detail}; {STORAGE_KEY} has no effect", "remove it: the app has a Limiter of its own")
    return Finding(OK, detail)


def _describe_limits(mount: Mount) -> str:
    """Return the limits as they are configured."""
    limits = [f"{rate_class} {text}" for rate_class, text in mount.config.rate_limits.items()]
    if mount.registry.rate_limits:
        limits.append("the host's function")
    return ", ".join(limits)


def _describe_storage(mount: Mount, storage: Any) -> str:
    """Return the storage's address, without user, password and query."""
    if find_host_limiter(mount) is not None:
        return f"the {type(storage).__name__} of the app's Limiter"
    url = urlsplit(mount.config.rate_limit_storage)
    return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _has_no_timeout(storage: Any) -> bool:
    """Return True if the storage uses a Redis client without a socket timeout; the default differs by version."""
    pool = getattr(getattr(storage, "storage", None), "connection_pool", None)
    if pool is None:
        return False
    return getattr(pool.connection_class(**pool.connection_kwargs), "socket_timeout", 0) is None
