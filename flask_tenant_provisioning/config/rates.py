"""Rate limits as hosts write them: in the notation of `limits`, which is loaded for the first one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from limits import RateLimitItem

#: The classes of routes: what reads, what writes, and uploads of many rows.
CLASSES = ("read", "write", "bulk")
MEMORY = "memory://"
INSTALL = "pip install 'flask-tenant-provisioning[limiter]'"

_NOTATION = "'600/minute' or '10/second;600/minute'"
_LARGEST = 10**15 - 1  # an integer of a structured field (RFC 9651 §3.3.1)
_LONGEST = 10 * 366 * 86_400


def can_limit() -> bool:
    """Whether Flask-Limiter is installed."""
    return importlib.util.find_spec("flask_limiter") is not None


def rates(text: Any) -> tuple[RateLimitItem, ...]:
    """The limits that `text` names, the one of the shortest window first. Raises `ValueError` that says what is wanted.

    Each has a window of its own, of ten years at most.
    """
    from limits import parse_many

    try:
        found = sorted(parse_many(text), key=_window)
    except ValueError as error:
        raise ValueError(f"a limit such as {_NOTATION}") from error
    windows = {*map(_window, found)}
    if len(windows) < len(found) or max(windows) > _LONGEST:
        raise ValueError(f"limits such as {_NOTATION}, each for a time of its own, of ten years at most")
    if not all(0 < item.amount <= _LARGEST for item in found):
        raise ValueError(f"a limit such as {_NOTATION}, of 1 request or more")
    return tuple(found)


def rates_by_class(value: Any) -> dict[str, str]:
    """A mapping of classes of routes to limits."""
    if not isinstance(value, Mapping) or not {*CLASSES}.issuperset(value):
        raise ValueError(f"a mapping of {', '.join(map(repr, CLASSES))} to limits such as {_NOTATION}")
    if value and not can_limit():
        raise ValueError(f"None, or {INSTALL}")
    for kind, text in value.items():
        try:
            rates(text)
        except ValueError as wanted:
            raise ValueError(f"a mapping that names for {kind!r} {wanted}") from wanted
    return dict(value)


def storage_url(value: Any) -> str:
    """The URL of a storage that `limits` can use here."""
    if value == MEMORY:
        return MEMORY
    if not isinstance(value, str) or not value:
        raise ValueError("a URL such as 'redis://127.0.0.1:6379/3'")
    if not can_limit():
        raise ValueError(f"{MEMORY!r}, or {INSTALL}")
    _require_storage(urlsplit(value).scheme)
    return value


def _require_storage(scheme: str) -> None:
    """Raise `ValueError` where nothing stores at a URL of this scheme, or its driver is not installed."""
    from limits import storage

    kind = vars(storage)["SCHEMES"].get(scheme)
    if kind is None or not issubclass(kind, storage.Storage):
        raise ValueError("the URL of a storage of `limits`, such as 'redis://127.0.0.1:6379/3'")
    drivers = [name.partition(".")[0] for name in getattr(kind, "DEPENDENCIES", ())]
    if drivers and not any(map(importlib.util.find_spec, drivers)):
        raise ValueError(f"the URL of a storage whose driver is installed: pip install {drivers[0]}")


def _window(item: RateLimitItem) -> int:
    """For how many seconds a limit holds."""
    return item.get_expiry()
