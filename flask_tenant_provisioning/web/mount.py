"""One mounted API: what its routes work with."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

from flask import request

from ..access import Guard
from ..config import Settings
from ..database import Storage
from ..licensing import LicenseSource
from .cursors import Cursors


@dataclasses.dataclass(eq=False)
class Mount:
    """What one mounted API consists of. Its storage opens at first use: at start where a licence lets it mount.

    `routes` are its declared operations (`web.routing.Route`), `memory` holds what is made once for it.
    """

    name: str
    settings: Settings
    license: LicenseSource
    guard: Guard
    cursors: Cursors
    routes: Sequence[Any]
    open_storage: Callable[[], Storage]
    memory: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def storage(self) -> Storage:
        """The mount's tables."""
        return self.open_storage()

    def base(self) -> str:
        """The mount's path as the caller sees it, behind any ``SCRIPT_NAME``."""
        return f"{request.script_root}{self.settings.url_prefix}"

    def problem_types(self) -> str:
        """What the `type` of each problem begins with."""
        return self.settings.problem_base_uri or f"{self.base()}/problems/"
