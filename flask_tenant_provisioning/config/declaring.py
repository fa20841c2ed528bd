"""How a key is declared."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from .checks import Check

PREFIX = "PROVISIONING_"

T = TypeVar("T")


def key(default: Any, meaning: str, check: Check, *, secret: bool = False) -> Any:
    """Declare one key. ``None`` is always a legal value where it is the default; a `secret` value is never shown."""
    metadata = {"meaning": meaning, "check": check, "secret": secret}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def gathered(cls: type[T]) -> type[T]:
    """Let a dataclass to be have all keys that its bases declare, in their order: one dataclass for every theme.

    Bases that were dataclasses themselves would do it too, but each of them takes a millisecond of the start.
    """
    cls.__annotations__ = {name: kind for base in cls.__bases__ for name, kind in base.__annotations__.items()}
    return cls


def named(name: str) -> str:
    """How the field `name` is called in ``app.config``."""
    return f"{PREFIX}{name.upper()}"
