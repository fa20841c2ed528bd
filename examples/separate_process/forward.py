"""Forward requests below a prefix to another process: a WSGI middleware that needs only the standard library.

If a proxy such as nginx is in front of the app, let the proxy do it instead.
"""

from __future__ import annotations

import http.client
import urllib.parse
from collections.abc import Callable, Iterable, Iterator
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

CHUNK = 64 * 1024
#: Headers that concern one connection, and are not passed on (RFC 9110 §7.6.1).
HOP_BY_HOP = frozenset({
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip


class ForwardPrefix:
    """Send requests below `prefix` to `host`:`port`, and all others to the `app` that this wraps."""

    def __init__(self, app: Any, prefix: str, host: str, port: int, timeout: float = 60.0) -> None:
        self._app, self._prefix, self._address, self._timeout = app, prefix.rstrip("/"), (host, port), timeout

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path != self._prefix and not path.startswith(self._prefix + "/"):
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        connection = http.client.HTTPConnection(*self._address, timeout=self._timeout)
        try:
            connection.request(
                environ["REQUEST_METHOD"], build_target(environ), iter_body(environ), build_headers(environ)
            )
            response = connection.getresponse()
        except (OSError, http.client.HTTPException):
            connection.close()
            start_response("502 Bad Gateway", [("Content-Type", "text/plain"), ("Cache-Control", "no-store")])
            return [b"The provisioning API does not answer at present.\n"]
        headers = [(name, value) for name, value in response.getheaders() if name.lower() not in HOP_BY_HOP]
        start_response(f"{response.status} {response.reason}", headers)
        return iter_response(connection, response)


def build_target(environ: Environ) -> str:
    """Return the path and query, quoted as in a request line."""
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    query = environ.get("QUERY_STRING", "")
    return urllib.parse.quote(path, safe="/:@!$&'()*+,;=~-._") + (f"?{query}" if query else "")


def build_headers(environ: Environ) -> dict[str, str]:
    """Return the caller's headers, and the address of the caller."""
    headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name, header in (("CONTENT_TYPE", "Content-Type"), ("CONTENT_LENGTH", "Content-Length")):
        if environ.get(name):
            headers[header] = environ[name]
    headers = {name: value for name, value in headers.items() if name.lower() not in HOP_BY_HOP}
    headers["X-Forwarded-For"] = environ.get("REMOTE_ADDR", "")
    headers["X-Forwarded-Proto"] = environ["wsgi.url_scheme"]
    return headers


def iter_body(environ: Environ) -> Iterator[bytes] | None:
    """Return an iterator over the body, so that a large upload is not kept in memory; None if there is no body."""
    if not environ.get("CONTENT_LENGTH"):
        return None
    return _read(environ["wsgi.input"], int(environ["CONTENT_LENGTH"]))


def _read(stream: Any, remaining: int) -> Iterator[bytes]:
    while remaining and (chunk := stream.read(min(CHUNK, remaining))):
        remaining -= len(chunk)
        yield chunk


def iter_response(connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the response's body as it arrives, so that events of a stream are passed on at once."""
    try:
        while chunk := response.read1(CHUNK):
            yield chunk
    finally:
        connection.close()
