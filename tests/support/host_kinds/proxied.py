"""Behind a proxy that strips /shop from every path, and says so in X-Forwarded-Prefix, which a ProxyFix reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flask import Flask, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.support.host_kinds.kinds import Kind
from tests.support.hosts import make_config

ROOT = "/shop"
#: What a caller sends as X-Forwarded-Prefix where no proxy sets or removes it, and what is no path.
NO_PATHS = {
    "another host": "//evil.example",
    "another host, by a backslash": "/\\evil.example",
    "a scheme": "https://evil.example",
    "a script": "javascript:alert(1)//",
    "no slash": "evil",
    "a line feed": "/a\nb",
    "a query": "/a?b",
    "a fragment": "/a#b",
    "a space": "/a b",
    "a slash within": "/a//b",
    "nothing but slashes": "//",
    "another host, behind slashes": "///evil.example",
    "another host, behind a path": "/shop//evil.example",
    "a tab": "/a\tb",
    "a carriage return": "/a\rSet-Cookie: a=b",
    "a null byte": "/a\0",
    "another prefix before": "/shop, //evil.example",
}


class Proxy:
    """Passes what is below `ROOT` on, and sets the header itself: no caller's own reaches the app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith(f"{ROOT}/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"nothing here"]
        passed = {**environ, "PATH_INFO": path.removeprefix(ROOT), "HTTP_X_FORWARDED_PREFIX": ROOT}
        response: Iterable[bytes] = self._app(passed, start_response)
        return response


def build(_folder: Path) -> Flask:
    """The app, as it would be served at the root of a server."""
    app = Flask("host")
    app.config.update(make_config())
    app.add_url_rule("/", "home", lambda: f"welcome to {url_for('home')}")
    return app


def trust(app: Flask) -> None:
    """Let the app believe one proxy that says X-Forwarded-Prefix."""
    app.wsgi_app = ProxyFix(app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]


def put_behind(app: Flask) -> None:
    """Put the app behind the proxy."""
    trust(app)
    app.wsgi_app = Proxy(app.wsgi_app)  # type: ignore[method-assign]


KIND = Kind(build, pages=(("GET", "/"), ("GET", "/nowhere")), wrap=put_behind, root=ROOT)
