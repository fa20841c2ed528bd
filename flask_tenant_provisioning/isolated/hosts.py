"""The host's own routes below the prefix of an isolated mount."""

from __future__ import annotations

from typing import Any

from flask import Flask
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import Map, RequestRedirect, Rule


class HostRoutes:
    """What the host routes below `prefix`, as it stands at the first request. Empty, and so false, for most hosts."""

    def __init__(self, host: Flask, prefix: str) -> None:
        theirs = host.url_map
        self._host = host
        self._map = Map(
            [rule.empty() for rule in rules_below(host, prefix)],
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


def rules_below(app: Flask, prefix: str) -> list[Rule]:
    """The rules of `app` at `prefix` or below it."""
    return [rule for rule in app.url_map.iter_rules() if f"{rule.rule}/".startswith(f"{prefix}/")]
