"""Webhooks: what has happened, told to the partners' own servers, and how those know that it is true.

A receiver needs `verify` alone. Like those of the package, the names here are imported when somebody first asks for
them (PEP 562), and none of them needs Flask.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .signing import InvalidSecret as InvalidSecret
    from .verification import WebhookRefused as WebhookRefused, verify as verify

_HOMES = {"InvalidSecret": ".signing", "WebhookRefused": ".verification", "verify": ".verification"}

if not TYPE_CHECKING:  # a type checker must go on to refuse a name that does not exist
    __all__ = [*_HOMES]

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(_HOMES[name], __name__), name)
        return found

    def __dir__():
        return sorted({*globals(), *__all__})
