"""One mounted API: its configuration, what its host registered, and the services that its routes use."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import functools
import hashlib
import hmac
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

from flask import Flask

from .access.authority import Authority
from .access.guard import Guard
from .config import Config
from .database.session import Storage
from .errors import InvalidCursor
from .keyring import Keyring
from .licensing.source import LicenseSource
from .registry import Registry, list_available_plans
from .responses import get_script_prefix

T = TypeVar("T")


@dataclasses.dataclass(eq=False, kw_only=True)
class Api:
    """The settings of one API, its operations (`web.routing.Route`), and what its host registered.

    `memory` holds what is made once for it.
    """

    settings: Config
    hooks: Registry
    routes: Sequence[Any]
    memory: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def plans(self) -> tuple[str, ...] | None:
        """The plans that a tenant may be put on; None where that may be any text."""
        return list_available_plans(self.hooks.plans, self.settings.plans)

    def limits(self, rate_class: str) -> bool:
        """Whether requests of this class are counted against a partner's rate limits."""
        return rate_class in self.settings.rate_limits or self.hooks.rate_limits is not None

    def once(self, factory: Callable[[Self], T]) -> T:
        """What `factory` makes of this API, made once."""
        found: T | None = self.memory.get(factory)
        return self.memory.setdefault(factory, factory(self)) if found is None else found


_SEAL_BYTES = 16


class Cursors:
    """Seals and opens cursors with one secret key."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"flask-tenant-provisioning cursor\0" + secret.encode()).digest()

    def seal(self, place: str, question: str) -> str:
        """A cursor for `place`, good only for the same `question` (partner, filters, sort)."""
        data = place.encode()
        return base64.urlsafe_b64encode(self._seal(data, question) + data).rstrip(b"=").decode()

    def open(self, cursor: str, question: str) -> str:
        """The place in `cursor`. Raises `InvalidCursor` for another question, another key or any changed bit."""
        try:
            data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        seal, place = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
        whole = base64.urlsafe_b64encode(data).rstrip(b"=").decode() == cursor
        if not whole or not hmac.compare_digest(seal, self._seal(place, question)):
            raise InvalidCursor
        return place.decode()

    def _seal(self, data: bytes, question: str) -> bytes:
        return hmac.digest(self._key, b"%d\0%b%b" % (len(data), data, question.encode()), "sha256")[:_SEAL_BYTES]


class WorkEngine(Protocol):
    """Brings work that follows a commit to whoever does it. Losing what it carries loses nothing: work is rows."""

    def start(self) -> None:
        """A request has come: this process serves."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """There is work: these pieces, at least, steps, endpoints and bulk jobs by their keys. Never fails."""

    def notify_events(self) -> None:
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
    engine: WorkEngine
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
        return f"{get_script_prefix()}{self.settings.url_prefix}"

    def problem_types(self) -> str:
        """What the `type` of each problem begins with."""
        return self.settings.problem_base_uri or f"{self.base()}/problems/"
