"""Real WSGI servers for the tests that mean one."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flask import Flask
from waitress import create_server
from werkzeug.serving import make_server

Address = tuple[str, int]


class Reply(NamedTuple):
    """A whole answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@contextlib.contextmanager
def serve(app: Flask, threads: int = 16) -> Iterator[Address]:
    """Serve `app` on a free port of the loopback interface until the block ends."""
    server: Any = create_server(app, host="127.0.0.1", port=0, threads=threads, connection_limit=500)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield ("127.0.0.1", server.effective_port)
    finally:
        with contextlib.suppress(OSError):
            server.trigger.pull_trigger(server.close)
        server.task_dispatcher.shutdown()
        thread.join(10)
        assert not thread.is_alive()


@contextlib.contextmanager
def serve_with_werkzeug(app: Flask) -> Iterator[Address]:
    """Werkzeug's own server, which hands a chunked body to the app as it arrives."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield ("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def send_request(address: Address, method: str, path: str, token: str, body: Any = None, **headers: str) -> Reply:
    """Send one request on a connection of its own; a body that is no bytes is sent as JSON."""
    connection = http.client.HTTPConnection(*address, timeout=60)
    sent = {"Authorization": f"Bearer {token}", **headers}
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    try:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method, path, content, sent)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def run_concurrently(count: int, work: Callable[[int], Any]) -> list[Any]:
    """Return the results of `count` threads that start together; an exception counts as a thread's result."""
    barrier, results = threading.Barrier(count), [None] * count

    def run(number: int) -> None:
        barrier.wait()
        try:
            results[number] = work(number)
        except Exception as error:
            results[number] = error  # type: ignore[call-overload]

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
