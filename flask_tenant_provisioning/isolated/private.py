"""The private app: it serves one mount, and nothing that the host registered on its own app touches it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flask import Config, Flask, Request
from flask.sessions import SessionInterface
from flask_jwt_extended.default_callbacks import (
    default_blocklist_callback,
    default_decode_key_callback,
    default_token_verification_callback,
)
from werkzeug.routing import MapAdapter

from ..access.authority import Authority, QuietManager, manager_of
from ..config import Settings
from ..hosting import inside

#: What holds for every request to the host, whoever serves it.
_LENT = {"MAX_CONTENT_LENGTH", "TRUSTED_HOSTS"}
#: How Flask behaves in development. None of it may come between an error and its problem document.
_PRODUCTION = {"DEBUG": False, "TESTING": False, "PROPAGATE_EXCEPTIONS": False}


class LentConfig(Config):
    """The private app's settings. Those that the host lends are read there each time: it may change them."""

    def __init__(self, own: Config, host: Flask, *, with_jwt: bool) -> None:
        super().__init__(own.root_path, own)
        self._host = host
        self._with_jwt = with_jwt

    def __getitem__(self, key: str) -> Any:
        return self._host.config[key] if self._lends(key) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if self._lends(key) else super().get(key, default)

    def _lends(self, key: str) -> bool:
        return key in self._host.config and (key in _LENT or (self._with_jwt and self._verifies(key)))

    def _verifies(self, key: str) -> bool:
        """Whether the host's tokens are checked by this; a manager takes ``SECRET_KEY`` where no other is set."""
        return key.startswith("JWT_") or (key == "SECRET_KEY" and manager_of(self._host) is not None)


class _NoSessions(SessionInterface):
    """Reads no cookie and writes none."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


class PrivateApp(Flask):
    """Serves one mount of `host`, whose settings say whether the host's JWT settings and loaders hold in it."""

    session_interface = _NoSessions()

    def __init__(self, host: Flask, settings: Settings) -> None:
        super().__init__(__name__, static_folder=None, instance_path=host.instance_path)
        self._host = host
        self.authority = Authority(self, None if settings.own_jwt else host)
        self.config = LentConfig(self.config, host, with_jwt=not settings.own_jwt)
        self.config.update(_PRODUCTION, **_addressed(settings.own_jwt))
        manager = QuietManager(self)
        if not settings.own_jwt:
            _borrow(manager, host)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """As any app's; but what it builds are the host's URLs, for hooks of the host's that call `url_for`."""
        found = super().create_url_adapter(request)
        if found is not None:
            found.build = functools.partial(self._built, request)  # type: ignore[method-assign]
        return found

    def _built(self, request: Request | None, *endpoint: Any, **options: Any) -> str:
        adapter = self._host.create_url_adapter(request)
        if adapter is None:
            raise RuntimeError("The host builds no URLs outside a request without SERVER_NAME.")
        return adapter.build(*endpoint, **options)


def _addressed(own: dict[str, Any]) -> dict[str, Any]:
    """A mount's own JWT settings, and those by which `flask provisioning token` signs what they accept."""
    audience, issuer = own.get("JWT_DECODE_AUDIENCE"), own.get("JWT_DECODE_ISSUER")
    issuer = issuer if isinstance(issuer, str | None) else issuer[0]
    return {**own, "JWT_ENCODE_AUDIENCE": audience, "JWT_ENCODE_ISSUER": issuer} if own else {}


def _borrow(manager: QuietManager, host: Flask) -> None:
    """Let the private manager ask the loaders of the host's: not the user lookup, which knows the host's own users."""
    manager.decode_key_loader(_asking(host, "_decode_key_callback", default_decode_key_callback))
    manager.token_in_blocklist_loader(_asking(host, "_token_in_blocklist_callback", default_blocklist_callback))
    manager.token_verification_loader(
        _asking(host, "_token_verification_callback", default_token_verification_callback)
    )


def _asking(host: Flask, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
    """Asks the host's loader, in its own application context; where it has none of its own, `default` as it stands."""

    def ask(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        loader = getattr(manager_of(host), name, default)
        if loader is default:
            return default(header, claims)
        with inside(host):
            return loader(header, claims)

    return ask
