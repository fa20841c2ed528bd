"""The isolated mount: a private Flask app that serves the API before any of the host's request handling.

`IsolatedMiddleware` stands in front of the host's WSGI callable and passes what is below the mount's prefix to the
`PrivateApp`, except for paths that `HostRoutes` finds in the host's own URL map.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Flask, Request, config as flask_config
from flask.sessions import SessionInterface
from flask_jwt_extended.default_callbacks import (
    default_blocklist_callback,
    default_decode_key_callback,
    default_token_verification_callback,
)
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, MapAdapter, RequestRedirect, Rule

from .access.authority import Authority, QuietManager, enter_app_context, find_jwt_manager
from .config import Config
from .mount import Mount
from .web.blueprint import UNMATCHED
from .web.errors import register_error_handlers


def install_isolated_mount(app: Flask, mount: Mount, mounts: dict[str, Mount]) -> None:
    """Let the private app serve what is below the prefix."""
    register_error_handlers(mount.app, mount)
    mount.entrance = app.wsgi_app = IsolatedMiddleware(app, mount, mounts)  # type: ignore[method-assign]


class IsolatedMiddleware:
    """Takes what is below the prefix of `mount`, and leaves the rest to what was there before, `behind` it.

    A mount of the same app at a longer prefix keeps its requests, and so does a route of the host's own below the
    prefix, where no route of the API has its path.
    """

    def __init__(self, host: Flask, mount: Mount, mounts: Mapping[str, Mount]) -> None:
        self.behind: Any = host.wsgi_app
        self._host = host
        self._mount = mount
        self._mounts = mounts
        self._prefix = mount.config.url_prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        serves = self._mount.app.wsgi_app if self._takes(environ) else self.behind
        found: Iterable[bytes] = serves(environ, start_response)
        return found

    def _takes(self, environ: dict[str, Any]) -> bool:
        path = f"/{environ.get('PATH_INFO', '').lstrip('/')}"
        if not _is_below(path, self._prefix) or self._is_another_mounts(path):
            return False
        return not self._host_routes or self._is_ours(environ)

    def _is_another_mounts(self, path: str) -> bool:
        others = (mount.config.url_prefix for mount in self._mounts.values() if mount.is_mounted)
        return any(len(prefix) > len(self._prefix) and _is_below(path, prefix) for prefix in others)

    @functools.cached_property
    def _host_routes(self) -> HostRoutes:
        return HostRoutes(self._host, self._prefix)

    def _is_ours(self, environ: dict[str, Any]) -> bool:
        """Whether a route of the API matches, or none of the host's; a wrong method is for whoever has the path."""
        place = {"path_info": environ.get("PATH_INFO", ""), "default_method": environ["REQUEST_METHOD"]}
        adapter = self._mount.app.url_map.bind("", **place)
        try:
            matched = not adapter.match()[0].endswith(f".{UNMATCHED}")
        except HTTPException:
            matched = False
        return matched or not self._host_routes.match(environ, with_method=bool(adapter.allowed_methods()))


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")


class HostRoutes:
    """What the host routes below `prefix`, as it stands at the first request. Empty, and so false, for most hosts."""

    def __init__(self, host: Flask, prefix: str) -> None:
        theirs = host.url_map
        self._host = host
        self._map = Map(
            [rule.empty() for rule in list_rules_below(host, prefix)],
            default_subdomain=theirs.default_subdomain,
            strict_slashes=theirs.strict_slashes,
            merge_slashes=theirs.merge_slashes,
            converters=theirs.converters,
            host_matching=theirs.host_matching,
        )

    def __bool__(self) -> bool:
        return any(True for _ in self._map.iter_rules())

    def match(self, environ: dict[str, Any], *, with_method: bool) -> bool:
        """Whether the host has an answer of its own: its view's, a redirect, or, unless `with_method`, a 405."""
        try:
            self._map.bind_to_environ(environ, *self._place()).match()
        except RequestRedirect:
            return True
        except MethodNotAllowed:
            return not with_method
        except HTTPException:
            return False
        return True

    def _place(self) -> tuple[str | None, str | None]:
        """Server name and subdomain, as Flask binds them."""
        if self._map.host_matching:
            return None, None
        if self._host.subdomain_matching:
            return self._host.config["SERVER_NAME"], None
        return None, self._map.default_subdomain


def list_rules_below(app: Flask, prefix: str) -> list[Rule]:
    """The rules of `app` at `prefix` or below it."""
    return [rule for rule in app.url_map.iter_rules() if f"{rule.rule}/".startswith(f"{prefix}/")]


#: What holds for every request to the host, whoever serves it.
_HOST_KEYS = {"MAX_CONTENT_LENGTH", "TRUSTED_HOSTS"}
#: How Flask behaves in development. None of it may come between an error and its problem document.
_PRODUCTION = {"DEBUG": False, "TESTING": False, "PROPAGATE_EXCEPTIONS": False}


class HostBackedConfig(flask_config.Config):
    """The private app's settings. Those that the host lends are read there each time: it may change them."""

    def __init__(self, own: flask_config.Config, host: Flask, *, with_jwt: bool) -> None:
        super().__init__(own.root_path, own)
        self._host = host
        self._with_jwt = with_jwt

    def __getitem__(self, key: str) -> Any:
        return self._host.config[key] if self._lends(key) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if self._lends(key) else super().get(key, default)

    def _lends(self, key: str) -> bool:
        return key in self._host.config and (key in _HOST_KEYS or (self._with_jwt and self._verifies(key)))

    def _verifies(self, key: str) -> bool:
        """Whether the host's tokens are checked by this; a manager takes ``SECRET_KEY`` where no other is set."""
        return key.startswith("JWT_") or (key == "SECRET_KEY" and find_jwt_manager(self._host) is not None)


class _NullSessionInterface(SessionInterface):
    """Reads no cookie and writes none."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


class PrivateApp(Flask):
    """Serves one mount of `host`, whose settings say whether the host's JWT settings and loaders hold in it."""

    session_interface = _NullSessionInterface()

    def __init__(self, host: Flask, settings: Config) -> None:
        super().__init__(__name__, static_folder=None, instance_path=host.instance_path)
        self._host = host
        self.authority = Authority(self, None if settings.own_jwt else host)
        self.config = HostBackedConfig(self.config, host, with_jwt=not settings.own_jwt)
        self.config.update(_PRODUCTION, **_complete_jwt_config(settings.own_jwt))
        manager = QuietManager(self)
        if not settings.own_jwt:
            _use_host_loaders(manager, host)

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


def _complete_jwt_config(own: dict[str, Any]) -> dict[str, Any]:
    """A mount's own JWT settings, and those by which `flask provisioning token` signs what they accept."""
    audience, issuer = own.get("JWT_DECODE_AUDIENCE"), own.get("JWT_DECODE_ISSUER")
    issuer = issuer if isinstance(issuer, str | None) else issuer[0]
    return {**own, "JWT_ENCODE_AUDIENCE": audience, "JWT_ENCODE_ISSUER": issuer} if own else {}


def _use_host_loaders(manager: QuietManager, host: Flask) -> None:
    """Let the private manager ask the loaders of the host's: not the user lookup, which knows the host's own users."""
    manager.decode_key_loader(_make_host_loader(host, "_decode_key_callback", default_decode_key_callback))
    manager.token_in_blocklist_loader(
        _make_host_loader(host, "_token_in_blocklist_callback", default_blocklist_callback)
    )
    manager.token_verification_loader(
        _make_host_loader(host, "_token_verification_callback", default_token_verification_callback)
    )


def _make_host_loader(host: Flask, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
    """Asks the host's loader, in its own application context; where it has none of its own, `default` as it stands."""

    def ask(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        loader = getattr(find_jwt_manager(host), name, default)
        if loader is default:
            return default(header, claims)
        with enter_app_context(host):
            return loader(header, claims)

    return ask


logger = logging.getLogger(__name__)
