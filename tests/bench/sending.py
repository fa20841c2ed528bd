"""Measure the webhooks a second that one process sends to a sink on this machine, beside `http.client` alone.

    python -m tests.bench.sending --threads 8 --seconds 3

The sink is another process, which answers 200 to each request without a look at it. Each thread of the bare loop has
one `HTTPConnection`; the sender is asked for a literal address, for a name whose address is at hand, and for a name
that the system's resolver looks up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import multiprocessing
import re
import socket
import statistics
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from multiprocessing.connection import Connection
from typing import Any

from flask_tenant_provisioning.webhooks.client.sender import Sender
from flask_tenant_provisioning.webhooks.client.ssrf import Resolve, SsrfGuard
from tests.support.servers import run_concurrently
from tests.support.webhooks.resolver import resolve_example_to

HEADERS = {
    "Content-Type": "application/json",
    "webhook-id": "msg_0193b5a0c2d47a6e8f00112233445566",
    "webhook-timestamp": "1674087231",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
BODY = b'{"type":"tenant.created","data":"' + b"x" * 700 + b'"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
LENGTH = re.compile(rb"(?i)content-length: (\d+)")
ROUNDS = 3

Post = Callable[[], object]


class Sink(asyncio.Protocol):
    """Looks at a request's length alone."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.data = transport, b""

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, separator, body = self.data.partition(b"\r\n\r\n")
        if separator and len(body) >= (length := int(LENGTH.findall(head)[0])):
            self.data = body[length:]
            self.transport.write(ANSWER)


def serve(ready: Connection) -> None:
    """Be the sink; its port is sent to `ready`."""

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """The port of a sink that runs until the block ends."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield int(ours.recv())
    finally:
        process.terminate()
        process.join()


def bare(port: int) -> Callable[[], Post]:
    """Makes posts over a connection of one's own."""

    def make() -> Post:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def post() -> None:
            connection.request("POST", "/hook", BODY, HEADERS)
            connection.getresponse().read()

        return post

    return make


def sender(resolve: Resolve) -> Sender:
    """A sender that may send to this machine."""
    return Sender(SsrfGuard(["http"], [], [ip_network("127.0.0.0/8")], resolve))


def post_with(sender: Sender, url: str) -> Callable[[], Post]:
    """Makes posts over one sender."""
    return lambda: lambda: sender.post(url, HEADERS, BODY)


def rate(make: Callable[[], Post], threads: int, seconds: float) -> float:
    """Return the number of posts a second of so many threads."""
    end = time.monotonic() + seconds

    def work(_number: int) -> int:
        post, count = make(), 0
        while time.monotonic() < end:
            post()
            count += 1
        return count

    return float(sum(run_concurrently(threads, work))) / seconds


def main() -> None:
    """Print a line for each way of sending: the median of three rounds, all ways in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
    arguments: Any = parser.parse_args()
    at_hand, system = sender(resolve_example_to("127.0.0.1")), sender(socket.getaddrinfo)
    with sink() as port, contextlib.closing(at_hand), contextlib.closing(system):
        ways = {
            "http.client": bare(port),
            "Sender, literal": post_with(at_hand, f"http://127.0.0.1:{port}/hook"),
            "Sender, name at hand": post_with(at_hand, f"http://example.com:{port}/hook"),
            "Sender, system's resolver": post_with(system, f"http://localhost:{port}/hook"),
        }
        rounds = [[rate(make, arguments.threads, arguments.seconds) for make in ways.values()] for _ in range(ROUNDS)]
    for name, rates in zip(ways, zip(*rounds, strict=True), strict=True):
        print(f"{name:26} {statistics.median(rates):7,.0f} POST/s")


if __name__ == "__main__":
    main()
