"""A webhook receiver that verifies each event and answers as a test says."""

from __future__ import annotations

import http.server
from collections.abc import Callable
from typing import Any

from flask_tenant_provisioning.webhooks import verify
from flask_tenant_provisioning.webhooks.signing import new_secret

SECRET = new_secret()


class Receiver(http.server.ThreadingHTTPServer):
    """A partner's server, which answers each request as `answer` says of the event."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.secret = SECRET
        self.status_text: tuple[int, str] | None = None
        self.answer: Callable[[dict[str, Any]], tuple[int, dict[str, str]]] = lambda event: (204, {})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        event = verify(body, dict(self.headers), self.server.secret, now=lambda: int(self.headers["webhook-timestamp"]))
        assert self.headers["webhook-id"] == event["id"]
        self.server.ids.append(event["id"])
        status, headers = self.server.answer(event)
        content = b""
        if self.server.status_text is not None:
            status, content = self.server.status_text[0], self.server.status_text[1].encode()
        if 200 <= status < 300:
            self.server.taken.append(event)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_args: Any) -> None:
        pass
