"""The entrance to an isolated mount: it stands before the host's WSGI callable."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException

from ..web.catchall import UNMATCHED
from ..web.mount import Mount
from .hosts import HostRoutes


class Isolated:
    """Takes what is below the prefix of `mount`, and leaves the rest to what was there before, `behind` it.

    A mount of the same app at a longer prefix keeps its requests, and so does a route of the host's own below the
    prefix, where no route of the API has its path.
    """

    def __init__(self, host: Flask, mount: Mount, mounts: Mapping[str, Mount]) -> None:
        self.behind: Any = host.wsgi_app
        self._host = host
        self._mount = mount
        self._mounts = mounts
        self._prefix = mount.settings.url_prefix

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        serves = self._mount.app.wsgi_app if self._takes(environ) else self.behind
        found: Iterable[bytes] = serves(environ, start_response)
        return found

    def _takes(self, environ: dict[str, Any]) -> bool:
        path = f"/{environ.get('PATH_INFO', '').lstrip('/')}"
        if not _below(path, self._prefix) or self._is_another_mounts(path):
            return False
        return not self._host_routes or self._is_ours(environ)

    def _is_another_mounts(self, path: str) -> bool:
        others = (mount.settings.url_prefix for mount in self._mounts.values() if mount.served)
        return any(len(prefix) > len(self._prefix) and _below(path, prefix) for prefix in others)

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


def _below(path: str, prefix: str) -> bool:
    return path.startswith(prefix) and path[len(prefix) : len(prefix) + 1] in ("", "/")
