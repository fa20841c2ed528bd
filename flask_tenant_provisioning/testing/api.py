"""The API of one mount, as its callers know it: its path, its requirements, and the permissions of roles."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, MapAdapter, Rule
from werkzeug.wrappers import Request

from ..config import Config
from ..mount import Api, Mount
from ..rate_limits import get_request_counter
from ..web.headers import JSON
from ..web.routing import Route
from .host import NotReady, find_mount, require_served
from .responses import ApiResponse, SentRequest

NO_BODY: Final[Any] = object()
#: Up to how many bytes the suite sends to find a limit on bodies.
MAX_TESTED_BODY = 16 * 1024 * 1024


class MountedApi:
    """Called with a method and a path below the mount, it sends a request without credentials."""

    def __init__(self, mount: Mount, client: FlaskClient) -> None:
        self.mount = mount
        self._client = client

    @property
    def config(self) -> Config:
        """The mount's configuration."""
        return self.mount.config

    def __call__(
        self,
        method: str,
        path: str,
        *,
        json: Any = NO_BODY,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> ApiResponse:
        """Send `json`, or the `body` as it is; `options` are those of Werkzeug's `EnvironBuilder`."""
        __tracebackhide__ = True
        typed = {"Content-Type": JSON} if body or json is not NO_BODY else {}
        data = body if json is NO_BODY else _encode_json(json)
        sent = {**typed, **(headers or {})}
        where = self.config.url_prefix + path
        content: dict[str, Any] = {} if "input_stream" in options else {"data": data}
        try:
            response = self._client.open(where, method=method, headers=sent, **content, **options)
        except Exception as error:
            raise AssertionError(
                f"{method} {where} should be answered; the app raised {type(error).__name__}: {error}"
            ) from error
        root = _find_root(response.request, where)
        base = f"{root}{self.config.url_prefix}"
        types = self.config.problem_base_uri or f"{base}/problems/"
        return ApiResponse(SentRequest(method, root + where, sent, data), response, base, types)

    def get_path(self, address: str) -> str:
        """The path below the mount of an `address` that the API answered with."""
        return address.partition(self.config.url_prefix)[2]

    def find_permissions(self, method: str, path: str) -> Sequence[str]:
        """The permissions that the operation at `path` asks for."""
        try:
            endpoint, _ = self.mount.once(_bind_routes).match(path.partition("?")[0], method)
        except HTTPException:
            return ()
        return self.get_required_permissions(next(route for route in self.mount.routes if route.endpoint == endpoint))

    def get_required_permissions(self, route: Route) -> Sequence[str]:
        """The permissions that `route` asks for."""
        return route.required_permissions(self.config.public_docs)

    def find_role(self, permissions: Sequence[str], *, all_partners: bool = False) -> str:
        """A role that grants `permissions`, on the tenants of one partner or on `all_partners`. Skips without one."""
        config = self.config
        for role, granted in config.roles.items():
            if (role in config.admin_roles) == all_partners and {*permissions} <= {*granted}:
                return role
        whose = "of an administrator's" if all_partners else "that sees one partner's tenants alone"
        return pytest.skip(f"no role {whose} grants {' and '.join(permissions) or 'anything'}")

    @property
    def body_limit(self) -> int:
        """The largest body in bytes: the mount's limit, or the host's where that is smaller."""
        hosts: int | None = self.mount.app.config.get("MAX_CONTENT_LENGTH")
        return min(self.config.max_body_bytes, hosts or self.config.max_body_bytes)

    def require_retention(self) -> None:
        """Skip where a deleted tenant is gone at once."""
        if not self.config.retention_days:
            pytest.skip("PROVISIONING_RETENTION_DAYS is 0: a deleted tenant is gone at once")

    def require_rate_limits(self, rate_class: str) -> None:
        """Skip where requests of this class are not counted."""
        if rate_class not in self.config.rate_limits:
            pytest.skip("the host sets no rate limits")
        limiter = get_request_counter(self.mount).limiter
        if limiter is None or not limiter.enabled:
            pytest.skip("the host has turned Flask-Limiter off")


def _find_root(request: Request, where: str) -> str:
    """The path below which callers find the app: a client of the host's may ask for more than `where`."""
    path = unquote(urlsplit(where).path)
    above = request.path.removesuffix(path) if request.path.endswith(path) else ""
    return request.script_root + above


def _bind_routes(api: Api) -> MapAdapter:
    """Return the adapter that finds the endpoint of a path."""
    rules = [Rule(route.rule, methods=[route.method], endpoint=route.endpoint) for route in api.routes]
    return Map(rules, merge_slashes=False).bind("")


def require_testable_mount(app: Flask, name: str | None, sign: Callable[..., str]) -> Mount:
    """The mount that is to be tested. Raises `NotReady` where there is none, or nothing signs a token for it."""
    mount = find_mount(app, name)
    require_served(mount)
    sign(None, "conformance")
    return mount


def open_api(app: Flask, name: str | None, client: FlaskClient, sign: Callable[..., str]) -> MountedApi:
    """The API to test. Skips where there is none: one test fails for that, and the others need not."""
    try:
        return MountedApi(require_testable_mount(app, name, sign), client)
    except NotReady:
        return pytest.skip("there is no API to test: test_the_api_is_mounted says why")


def _encode_json(value: Any) -> bytes:
    return json.dumps(value).encode()
