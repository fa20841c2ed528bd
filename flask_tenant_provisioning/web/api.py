"""One API as it is declared: what it offers, before anybody mounts it or calls."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from ..config import Settings
from ..hooks import Hooks
from ..plans import offered

T = TypeVar("T")


@dataclasses.dataclass(eq=False, kw_only=True)
class Api:
    """The settings of one API, its operations (`web.routing.Route`), and what its host registered.

    `memory` holds what is made once for it.
    """

    settings: Settings
    hooks: Hooks
    routes: Sequence[Any]
    memory: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def plans(self) -> tuple[str, ...] | None:
        """The plans that a tenant may be put on; None where that may be any text."""
        return offered(self.hooks.plans, self.settings.plans)

    def limits(self, rate_class: str) -> bool:
        """Whether requests of this class are counted against a partner's rate limits."""
        return rate_class in self.settings.rate_limits or self.hooks.rate_limits is not None

    def once(self, factory: Callable[[Self], T]) -> T:
        """What `factory` makes of this API, made once."""
        found: T | None = self.memory.get(factory)
        return self.memory.setdefault(factory, factory(self)) if found is None else found
