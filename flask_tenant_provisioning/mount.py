"""One mounted API: its configuration, what its host registered, and the services that its routes use."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, Self, TypeVar

from flask import Flask

from .access.authority import Authority
from .access.client_tokens import ClientTokens
from .access.guard import Guard
from .config import Config
from .config_checks import TOKEN_RATE_CLASS
from .database.session import Storage
from .encoding import decode_base64url, encode_base64url
from .errors import InvalidCursor
from .keyring import Keyring
from .licensing.source import LicenseSource
from .registry import Registry, list_available_plans
from .responses import get_script_prefix
from .telemetry.base import Telemetry
from .validation import StrictSchema

T = TypeVar("T")
S = TypeVar("S", bound=StrictSchema)


@dataclasses.dataclass(eq=False, kw_only=True)
class Api:
    """The configuration of one API, its routes (`web.routing.Route`), and what its host registered.

    `made_once` caches the results of `once`.
    """

    config: Config
    registry: Registry
    routes: Sequence[Any]
    made_once: dict[Any, Any] = dataclasses.field(default_factory=dict)

    @property
    def plans(self) -> tuple[str, ...] | None:
        """Names of the plans that a tenant may have; None if any text is a plan."""
        return list_available_plans(self.registry.plans, self.config.plans)

    def has_rate_limit(self, rate_class: str) -> bool:
        """Return True if requests of this class count against rate limits: a partner's, or those of token requests."""
        is_partners = self.registry.rate_limits is not None and rate_class != TOKEN_RATE_CLASS
        return rate_class in self.config.rate_limits or is_partners

    def schema(self, kind: type[S]) -> S:
        """Return the instance of a schema class (`validation.StrictSchema`) for this host, built once."""
        schema: S | None = self.made_once.get(kind)
        return self.made_once.setdefault(kind, kind.for_api(self)) if schema is None else schema

    def once(self, factory: Callable[[Self], T]) -> T:
        """Return ``factory(self)``, called once for each factory."""
        made: T | None = self.made_once.get(factory)
        return self.made_once.setdefault(factory, factory(self)) if made is None else made


_SEAL_BYTES = 16


class Cursors:
    """Signing and verification of cursors with one secret key (HMAC-SHA256, 16 bytes)."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"flask-tenant-provisioning cursor\0" + secret.encode()).digest()

    def seal(self, place: str, question: str) -> str:
        """Return a cursor for `place` as base64url, valid only for the same `question` (partner, filters, sort)."""
        data = place.encode()
        return encode_base64url(self._seal(data, question) + data)

    def open(self, cursor: str, question: str) -> str:
        """Return the place in `cursor`. Raises `InvalidCursor` for another question, another key or a changed bit."""
        try:
            data = decode_base64url(cursor)
        except ValueError as error:
            raise InvalidCursor from error
        seal, place = data[:_SEAL_BYTES], data[_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(place, question)):
            raise InvalidCursor
        return place.decode()

    def _seal(self, data: bytes, question: str) -> bytes:
        return hmac.digest(self._key, b"%d\0%b%b" % (len(data), data, question.encode()), "sha256")[:_SEAL_BYTES]


class WorkEngine(Protocol):
    """Notifies workers of work after a commit. The work itself is stored in rows: a lost notification is harmless."""

    def start(self) -> None:
        """Start in this process. Called with each admitted request."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Notify workers of due steps, endpoints and bulk jobs; `keys` name some or all of them. Never raises.

        A key begins with the name of its kind of work (``workers/kinds.py``).
        """

    def notify_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Notify workers of committed `events`, which they publish. Never raises."""

    def stop(self, grace: float) -> None:
        """Start no more work, and wait at most `grace` seconds for what is running."""


@dataclasses.dataclass(eq=False, kw_only=True)
class Mount(Api):
    """One mounted API with its services. Its storage opens at first use, which is at startup with a valid licence.

    `guard` and `engine` (None for external workers) use the mount, and are set once it is made. `in_host` enters the
    host's application context.
    `url_refusal` returns the reason why webhooks must not be sent to a URL; None if they may. `fetch_url` returns the
    content of a URL that it does not refuse (`webhooks.client.sender.Sender.fetch`).
    `client_tokens` issues and verifies API clients' access tokens; None only without a secret that could sign them.
    `entrance` is the WSGI middleware of an isolated mount, which receives requests before the host.
    `open_host_session` returns the ORM session of the host's Flask-SQLAlchemy object, if `init_app` was given one.
    """

    name: str
    telemetry: Telemetry
    license: LicenseSource
    authority: Authority
    cursors: Cursors
    open_storage: Callable[[Self], Storage]
    open_keyring: Callable[[], Keyring]
    url_refusal: Callable[[str], str | None]
    fetch_url: Callable[[str, Mapping[str, str], int], bytes]
    in_host: Callable[[], AbstractContextManager[Any]]
    client_tokens: ClientTokens | None
    guard: Guard = dataclasses.field(init=False)
    engine: WorkEngine | None = dataclasses.field(init=False)
    entrance: Any = None
    open_host_session: Callable[[], Any] | None = None

    @property
    def app(self) -> Flask:
        """App that serves the API: the host, or the private app of an isolated mount."""
        return self.authority.app

    @property
    def is_mounted(self) -> bool:
        """True if the blueprint is registered on the app, which requires a valid licence."""
        blueprint = self.app.blueprints.get(self.name)
        return blueprint is not None and blueprint.url_prefix == self.config.url_prefix

    @functools.cached_property
    def storage(self) -> Storage:
        """Tables of the mount."""
        return self.open_storage(self)

    @functools.cached_property
    def keyring(self) -> Keyring:
        """Key ring that encrypts secrets in the tables. Raises `ConfigurationError` if no key is configured."""
        return self.open_keyring()

    def base_path(self) -> str:
        """Return the mount's path as the caller sees it, with the ``SCRIPT_NAME`` before it."""
        return f"{get_script_prefix()}{self.config.url_prefix}"

    def problem_type_prefix(self) -> str:
        """Return the prefix of the `type` of each problem."""
        return self.config.problem_base_uri or f"{self.base_path()}/problems/"
