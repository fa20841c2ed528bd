"""The isolated mount: a private Flask app that serves the API before any of the host's request handling.

`IsolatedMiddleware` stands in front of the host's WSGI callable and passes what is below the mount's prefix to the
`PrivateApp`, except for paths that `HostRoutes` finds in the host's own URL map.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
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
from .mounts import Mounts
from .web.blueprint import UNMATCHED
from .web.errors import register_error_handlers


def install_isolated_mount(app: Flask, mount: Mount, mounts: Mounts[Mount]) -> None:
    """Serve the mount by its private app, in front of the host's WSGI callable."""
    register_error_handlers(mount.app, mount)
    mount.entrance = app.wsgi_app = IsolatedMiddleware(app, mount, mounts)  # type: ignore[method-assign]


class IsolatedMiddleware:
    """WSGI middleware that serves requests below the prefix of `mount` and passes all others on to `wrapped`.

    Another mount of the app at a longer prefix keeps its requests. So does a route of the host's below the prefix,
    unless a route of the API matches the path.
    """

    def __init__(self, host: Flask, mount: Mount, mounts: Mounts[Mount]) -> None:
        self.wrapped: Any = host.wsgi_app
        self._host = host
        self._mount = mount
        self._mounts = mounts
        self._prefix = mount.config.url_prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        wsgi_app = self._mount.app.wsgi_app if self._is_served_here(environ) else self.wrapped
        response: Iterable[bytes] = wsgi_app(environ, start_response)
        return response

    def _is_served_here(self, environ: dict[str, Any]) -> bool:
        path = f"/{environ.get('PATH_INFO', '').lstrip('/')}"
        if not _is_below(path, self._prefix) or self._is_below_another_mount(path):
            return False
        return not self._host_routes or self._is_api_path(environ)

    def _is_below_another_mount(self, path: str) -> bool:
        others = (mount.config.url_prefix for mount in self._mounts.list_built() if mount.is_mounted)
        return any(len(prefix) > len(self._prefix) and _is_below(path, prefix) for prefix in others)

    @functools.cached_property
    def _host_routes(self) -> HostRoutes:
        return HostRoutes(self._host, self._prefix)

    def _is_api_path(self, environ: dict[str, Any]) -> bool:
        """Return whether a route of the API matches, or no route of the host's does.

        If only the method does not match, the request goes to whichever of the two has the path.
        """
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        adapter = self._mount.app.url_map.bind("", path_info=path, default_method=method)
        try:
            is_matched = not adapter.match()[0].endswith(f".{UNMATCHED}")
        except HTTPException:
            is_matched = False
        return is_matched or not self._host_routes.match(environ, with_method=bool(adapter.allowed_methods()))


def _is_below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")


class HostRoutes:
    """The host's routes below `prefix`, as they are at the first request. It is falsy if there are none."""

    def __init__(self, host: Flask, prefix: str) -> None:
        url_map = host.url_map
        self._host = host
        self._map = Map(
            [rule.empty() for rule in list_rules_below(host, prefix)],
            default_subdomain=url_map.default_subdomain,
            strict_slashes=url_map.strict_slashes,
            merge_slashes=url_map.merge_slashes,
            converters=url_map.converters,
            host_matching=url_map.host_matching,
        )

    def __bool__(self) -> bool:
        return any(True for _ in self._map.iter_rules())

    def match(self, environ: dict[str, Any], *, with_method: bool) -> bool:
        """Return whether the host would respond by a view, a redirect or, unless `with_method`, a 405."""
        try:
            self._map.bind_to_environ(environ, *self._get_server_and_subdomain()).match()
        except RequestRedirect:
            return True
        except MethodNotAllowed:
            return not with_method
        except HTTPException:
            return False
        return True

    def _get_server_and_subdomain(self) -> tuple[str | None, str | None]:
        """Return the server name and the subdomain to bind, as Flask chooses them."""
        if self._map.host_matching:
            return None, None
        if self._host.subdomain_matching:
            return self._host.config["SERVER_NAME"], None
        return None, self._map.default_subdomain


def list_rules_below(app: Flask, prefix: str) -> list[Rule]:
    """Return the rules of `app` at `prefix` or below it."""
    return [rule for rule in app.url_map.iter_rules() if f"{rule.rule}/".startswith(f"{prefix}/")]


#: The host's keys that apply to all requests, those to the private app too.
_HOST_KEYS = {"MAX_CONTENT_LENGTH", "TRUSTED_HOSTS"}
#: Flask's development behaviour is off, so that every error becomes a problem document.
_PRODUCTION = {"DEBUG": False, "TESTING": False, "PROPAGATE_EXCEPTIONS": False}


class HostBackedConfig(flask_config.Config):
    """The private app's configuration. Keys that come from the host are read there at each access, since it may change
    them.
    """

    def __init__(self, config: flask_config.Config, host: Flask, *, with_jwt: bool) -> None:
        super().__init__(config.root_path, config)
        self._host = host
        self._with_jwt = with_jwt

    def __getitem__(self, key: str) -> Any:
        return self._host.config[key] if self._is_host_key(key) else super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if self._is_host_key(key) else super().get(key, default)

    def _is_host_key(self, key: str) -> bool:
        return key in self._host.config and (key in _HOST_KEYS or (self._with_jwt and self._affects_verification(key)))

    def _affects_verification(self, key: str) -> bool:
        """Return whether this key affects token verification. Flask-JWT-Extended falls back to ``SECRET_KEY``."""
        return key.startswith("JWT_") or (key == "SECRET_KEY" and find_jwt_manager(self._host) is not None)


class _NullSessionInterface(SessionInterface):
    """A session interface that reads no cookie and sets none."""

    def open_session(self, app: Flask, request: Request) -> None:
        return None


class PrivateApp(Flask):
    """The app that serves one mount of `host`. It verifies tokens with the host's JWT configuration and loaders, unless
    `mount_config` has its own.
    """

    session_interface = _NullSessionInterface()

    def __init__(self, host: Flask, mount_config: Config) -> None:
        super().__init__(__name__, static_folder=None, instance_path=host.instance_path)
        self._host = host
        jwt_overrides = mount_config.jwt_overrides
        self.authority = Authority(self, None if jwt_overrides else host)
        self.config = HostBackedConfig(self.config, host, with_jwt=not jwt_overrides)
        self.config.update(_PRODUCTION, **_complete_jwt_config(jwt_overrides))
        manager = QuietManager(self)
        if not jwt_overrides:
            _use_host_loaders(manager, host)

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return an adapter that matches the private app's URLs and builds the host's, for hooks that use `url_for`."""
        adapter = super().create_url_adapter(request)
        if adapter is not None:
            adapter.build = functools.partial(self._build_host_url, request)  # type: ignore[method-assign]
        return adapter

    def _build_host_url(self, request: Request | None, *endpoint: Any, **options: Any) -> str:
        adapter = self._host.create_url_adapter(request)
        if adapter is None:
            raise RuntimeError("The host builds no URLs outside a request without SERVER_NAME.")
        return adapter.build(*endpoint, **options)


def _complete_jwt_config(overrides: dict[str, Any]) -> dict[str, Any]:
    """Return a mount's own JWT configuration, extended by the claims that `flask provisioning token` must sign."""
    if not overrides:
        return {}
    audience, issuer = overrides.get("JWT_DECODE_AUDIENCE"), overrides.get("JWT_DECODE_ISSUER")
    issuer = issuer if isinstance(issuer, str | None) else issuer[0]
    return {**overrides, "JWT_ENCODE_AUDIENCE": audience, "JWT_ENCODE_ISSUER": issuer}


def _use_host_loaders(manager: QuietManager, host: Flask) -> None:
    """Let the private manager call the host's loaders, except the user lookup, which knows only the host's users."""
    manager.decode_key_loader(_make_host_loader(host, "_decode_key_callback", default_decode_key_callback))
    manager.token_in_blocklist_loader(
        _make_host_loader(host, "_token_in_blocklist_callback", default_blocklist_callback)
    )
    manager.token_verification_loader(
        _make_host_loader(host, "_token_verification_callback", default_token_verification_callback)
    )


def _make_host_loader(host: Flask, name: str, default: Callable[..., Any]) -> Callable[..., Any]:
    """Return a loader that calls the host's loader in the host's application context.

    If the host has not set one, it calls `default` directly.
    """

    def load(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        loader = getattr(find_jwt_manager(host), name, default)
        if loader is default:
            return default(header, claims)
        with enter_app_context(host):
            return loader(header, claims)

    return load
