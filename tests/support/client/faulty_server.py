"""A real HTTP server that does as a test says with each request: by default it passes it on to the API."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests.support.hosts import PREFIX
from tests.support.servers import Address

Fault = Callable[["Handler"], None]


class Recorded(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class FaultyServer(http.server.ThreadingHTTPServer):
    """Does with each request what `choose` returns, or the next of `faults`, or passes it on to `upstream`."""

    daemon_threads = True

    def __init__(self, upstream: Address | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = upstream
        self.faults: deque[Fault] = deque()
        self.choose: Callable[[Recorded], Fault | None] = lambda request: None
        self.requests: list[Recorded] = []
        #: Set at the end of a test: what hangs lets go.
        self.ended = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}{PREFIX}"

    def list_keys(self) -> list[str | None]:
        """The idempotency keys of the requests, in their order."""
        return [request.headers.get("idempotency-key") for request in self.requests]

    def handle_error(self, *_arguments: Any) -> None:
        """A client that went away is what some tests are about."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one connection."""

    protocol_version = "HTTP/1.1"
    server: FaultyServer
    body: bytes

    def handle_any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Recorded(self.command, self.path, headers, self.body)
        self.server.requests.append(request)
        fault = self.server.choose(request) or (self.server.faults.popleft() if self.server.faults else pass_on)
        fault(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def fetch(self) -> http.client.HTTPResponse:
        """Send the request to the API, and return the response, which is not read yet."""
        assert self.server.upstream is not None
        connection = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        connection.request(self.command, self.path, self.body or None, dict(self.headers.items()))
        return connection.getresponse()

    def respond(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

    def log_message(self, *_arguments: Any) -> None:
        pass


def pass_on(handler: Handler) -> None:
    """Pass the request on, and the response back."""
    response = handler.fetch()
    skipped = {"content-length", "transfer-encoding", "connection", "date", "server"}
    headers = {name: value for name, value in response.getheaders() if name.lower() not in skipped}
    handler.respond(response.status, response.read(), headers)


def lose_response(handler: Handler) -> None:
    """Pass the request on, and close the connection in place of the response."""
    handler.fetch().read()
    handler.hang_up()


def drop(handler: Handler) -> None:
    """Close the connection without having passed the request on."""
    handler.hang_up()


def hang(handler: Handler) -> None:
    """Send nothing until the test has ended."""
    handler.server.ended.wait(60)
    handler.hang_up()


def truncate(handler: Handler) -> None:
    """Announce a longer body than is sent."""
    handler.respond(200, b'{"items": [', {"Content-Type": "application/json", "Content-Length": "1000"})
    handler.hang_up()


def answer(status: int, content: bytes = b"", content_type: str = "text/html", **headers: str) -> Fault:
    """Respond with this and pass nothing on."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.respond(status, content, {"Content-Type": content_type, **named})


def refuse(status: int, code: str, *, title: str = "Refused", **headers: Any) -> Fault:
    """Respond with a problem document."""
    document = {"type": f"/problems/{code}", "title": title, "status": status, "code": code, "detail": "Not now."}
    content = json.dumps({**document, "instance": "/", "request_id": "request-1"}).encode()
    return answer(status, content, "application/problem+json", **headers)


@contextlib.contextmanager
def serve_faults(upstream: Address | None = None) -> Iterator[FaultyServer]:
    """Serve until the block ends."""
    server = FaultyServer(upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        thread.join(10)
        server.server_close()
