"""A partner's server that takes webhooks, for the tests that mean one."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from typing import Any

#: What a host configures so that webhooks may go to this machine.
LOCAL_WEBHOOKS: dict[str, Any] = {
    "PROVISIONING_WEBHOOK_SCHEMES": ["http"],
    "PROVISIONING_WEBHOOK_PORTS": [],
    "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": ["127.0.0.0/8"],
}


class Receiver(http.server.ThreadingHTTPServer):
    """Remembers each request as headers and body, and answers with `status`; one that `echoes` sends the body back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.echoes = False
        self.came = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    def wait_for(self, count: int, seconds: float) -> bool:
        """Wait until so many requests have come; whether they have."""
        with self.came:
            return self.came.wait_for(lambda: len(self.requests) >= count, seconds)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.came:
            self.server.requests.append((dict(self.headers), body))
            self.server.came.notify_all()
        self.send_response(self.server.status)
        response = body if self.server.echoes else b""
        self.send_header("Content-Length", str(len(response)))
        self.end_headers()
        self.wfile.write(response)

    def log_message(self, *_args: Any) -> None:
        pass


@contextlib.contextmanager
def open_receiver() -> Iterator[Receiver]:
    """A receiver that serves until the block ends."""
    opened = Receiver()
    thread = threading.Thread(target=opened.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        opened.shutdown()
        opened.server_close()
        thread.join()
