"""Names that a host gives to what is its own: what they may be, each once, and the order that they declare."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Protocol, TypeVar

from .config import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")


class Ordered(Protocol):
    """Something with a name that comes after others of its kind."""

    @property
    def name(self) -> str: ...
    @property
    def after(self) -> tuple[str, ...]: ...


N = TypeVar("N", bound=Ordered)


def is_name(found: object) -> bool:
    """Whether it is 1 to 100 of a-z, A-Z, 0-9, - _ and ."""
    return isinstance(found, str) and _NAME.fullmatch(found) is not None


def unique(name: str, others: Iterable[Ordered], what: str) -> None:
    """Raise `ConfigurationError` where one of `others` has this name."""
    if name in {other.name for other in others}:
        raise ConfigurationError(f"There is a {what} named {name!r} already: name this one with name='…'.")


def ordered(items: Sequence[N], what: str) -> list[N]:
    """`items`, each after those that it names, otherwise by name: the order of imports decides nothing.

    Raises `ConfigurationError` for a name that nothing has, and for a circle.
    """
    by_name = {item.name: item for item in items}
    for item in items:
        if strangers := set(item.after) - by_name.keys():
            raise ConfigurationError(f"The {what} {item.name!r} comes after {min(strangers)!r}, and there is none.")
    found, sorter = [], TopologicalSorter({item.name: item.after for item in items})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ConfigurationError(f"These {what}s come after each other: {' → '.join(error.args[1])}.") from error
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        found += [by_name[name] for name in ready]
        sorter.done(*ready)
    return found
