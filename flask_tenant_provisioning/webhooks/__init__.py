"""Webhooks: signed HTTP requests that tell a partner's server about events, with retries and a delivery history.

A receiver needs only `verify`. The names below are imported at first use (PEP 562), and none of them needs Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .signing import InvalidSecret as InvalidSecret
    from .verification import WebhookRefused as WebhookRefused, verify as verify

_HOMES = {"InvalidSecret": ".signing", "WebhookRefused": ".verification", "verify": ".verification"}

if not TYPE_CHECKING:  # or a type checker would accept names that do not exist
    __all__ = [*_HOMES]

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
