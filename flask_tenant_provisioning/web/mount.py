"""One mounted API: what its routes work with."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from flask import Flask

from ..access import Guard
from ..access.authority import Authority
from ..database import Storage
from ..keyring import Keyring
from ..licensing import LicenseSource
from ..problems.addresses import prefix
from .api import Api
from .cursors import Cursors


class Engine(Protocol):
    """Brings work that follows a commit to whoever does it. Losing what it carries loses nothing: work is rows."""

    def serve(self) -> None:
        """A request has come: this process serves."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """There is work: these pieces, at least, steps, endpoints and bulk jobs by their keys. Never fails."""

    def happened(self) -> None:
        """There are events to publish. Never fails."""

    def stop(self, grace: float) -> None:
        """Begin nothing more, and wait for what is being done, for `grace` seconds at most."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Mount(Api):
    """What one mounted API consists of. Its storage opens at first use: at start where a licence lets it mount.

    `in_host` enters the host's application context.
    `url_refusal` says why no webhook may be sent to a URL; None where one may.
    An isolated mount has an `entrance`, which stands before the host.
    """

    name: str
    license: LicenseSource
    authority: Authority
    guard: Guard
    cursors: Cursors
    open_storage: Callable[[], Storage]
    open_keyring: Callable[[], Keyring]
    url_refusal: Callable[[str], str | None]
    in_host: Callable[[], AbstractContextManager[Any]]
    engine: Engine
    entrance: Any = None

    @property
    def app(self) -> Flask:
        """The app that serves it: the host, or the private app of an isolated mount."""
        return self.authority.app

    @property
    def served(self) -> bool:
        """Whether the app serves it: a licence let it mount."""
        found = self.app.blueprints.get(self.name)
        return found is not None and found.url_prefix == self.settings.url_prefix

    @functools.cached_property
    def storage(self) -> Storage:
        """The mount's tables."""
        return self.open_storage()

    @functools.cached_property
    def keyring(self) -> Keyring:
        """What seals the secrets in its tables. Raises `ConfigurationError` where the host has given no key."""
        return self.open_keyring()

    def base(self) -> str:
        """The mount's path as the caller sees it, behind any ``SCRIPT_NAME``."""
        return f"{prefix()}{self.settings.url_prefix}"

    def problem_types(self) -> str:
        """What the `type` of each problem begins with."""
        return self.settings.problem_base_uri or f"{self.base()}/problems/"
