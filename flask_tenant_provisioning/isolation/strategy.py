"""The interface of a strategy of isolation, whatever keeps the tenants' data apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any, Protocol


@dataclasses.dataclass(frozen=True, slots=True)
class Fault:
    """A reason why tenants' data is not isolated, and what to do; `is_advice` if it holds in spite of it."""

    table: str
    problem: str
    advice: str
    is_advice: bool = False

    def __str__(self) -> str:
        return f"{f'{self.table}: ' if self.table else ''}{self.problem} / {self.advice}"


class Strategy(Protocol):
    """A way to keep the data of tenants apart. `RowLevelSecurity` is one."""

    def prepare(self) -> None:
        """Bind the sessions of an app, in its context. Raises `ConfigurationError` if its database does not suit."""

    def apply(self, *, run: bool = True) -> list[str]:
        """Bring the database to what the strategy needs, or only return the statements. Returns the statements."""

    def find_faults(self, *, of_role: bool = True, ignored: Iterable[str] = ()) -> list[Fault]:
        """Return what keeps the data from being isolated."""

    def probe_pool(self) -> list[Fault]:
        """Return what a pooled connection keeps of a tenant."""

    def set_tenant(self, session: Any, tenant_id: str) -> None:
        """Let the rest of a session's transaction work for a tenant."""

    def bypass(self, reason: str, *, write: bool = False) -> AbstractContextManager[Any]:
        """Open a session on the data of all tenants."""
