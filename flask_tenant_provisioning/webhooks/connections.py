"""One connection to a receiver, on which nothing takes longer than its deadline and no answer grows without end."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple, cast

from .plain import plain

#: What is read of one answer at most, in bytes: of its content, and with its head and the framing of its chunks.
CONTENT_BYTES = 8 * 1024
ANSWER_BYTES = 64 * 1024
#: How much is read at once.
_PIECE = 16 * 1024

#: 102 and 103 announce an answer and are none (RFC 9110 §15.2); `http.client` passes over 100 itself.
_INTERIM = (102, 103)


class Unheard(ConnectionError):
    """The receiver closed the connection before it had sent one byte of an answer."""


class Deadline:
    """When all must be over, in `seconds` from now on the clock `monotonic`."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._end, self._monotonic = monotonic() + seconds, monotonic

    def left(self) -> float:
        """The seconds that remain, always some. Raises `TimeoutError` when none do."""
        if (left := self._end - self._monotonic()) > 0:
            return left
        raise TimeoutError


class Route(NamedTuple):
    """What a connection is good for: one scheme, name and port at one address, and nothing else."""

    scheme: str
    host: str
    port: int
    address: str


class Reply(NamedTuple):
    """What a receiver answered; `content` as it came, 8 KiB at most."""

    status: int
    #: The header ``Retry-After`` as it came.
    retry_after: str | None
    content: bytes
    #: Whether the answer was read to its end, and the receiver keeps the connection open.
    is_reusable: bool


class Connection:
    """A connection over an open socket; it carries one exchange at a time."""

    def __init__(self, route: Route, sock: socket.socket) -> None:
        self.route = route
        self._socket = sock

    def exchange(self, request: bytes, deadline: Deadline) -> Reply:
        """Send `request` and read its answer.

        Raises `TimeoutError` at the deadline, `Unheard` where the connection was closed instead of an answer, other
        `OSError` where it broke, and `http.client.HTTPException` for what is no HTTP.
        """
        first = self._first(request, deadline)
        if (found := plain(first)) and len(found.content) <= CONTENT_BYTES:
            return Reply(*found, is_reusable=True)
        incoming = _Incoming(self._socket, deadline, first)
        with http.client.HTTPResponse(cast(socket.socket, incoming), method="POST") as response:
            _begin(response)
            content = _content(response)
            is_reusable = response.isclosed() and not response.will_close
            return Reply(response.status, response.headers.get("Retry-After"), content, is_reusable)

    def is_quiet(self) -> bool:
        """Whether the receiver has neither closed the connection nor sent what nobody asked for."""
        try:
            self._socket.settimeout(0)
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it; more than once is fine."""
        self._socket.close()

    def _first(self, request: bytes, deadline: Deadline) -> bytes:
        """Send `request`, and take what comes first of its answer."""
        try:
            self._send(request, deadline)
            self._socket.settimeout(deadline.left())
            found = self._socket.recv(_PIECE)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise Unheard from error
        if not found:
            raise Unheard
        return found

    def _send(self, data: bytes, deadline: Deadline) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(deadline.left())
            view = view[self._socket.send(view) :]


def _begin(response: http.client.HTTPResponse) -> None:
    response.begin()
    while response.status in _INTERIM:
        response.headers = response.msg = cast(Any, None)
        response.begin()


def _content(response: http.client.HTTPResponse) -> bytes:
    try:
        content = response.read(CONTENT_BYTES)[:CONTENT_BYTES]
    except ValueError as error:
        raise http.client.HTTPException("a chunk has no size") from error
    if response.length and len(content) < CONTENT_BYTES:
        raise http.client.IncompleteRead(content, response.length)
    return content


class _Incoming(io.RawIOBase):
    """The bytes of one answer, as `http.client` wants to be given them."""

    def __init__(self, sock: socket.socket, deadline: Deadline, first: bytes) -> None:
        self._socket, self._deadline = sock, deadline
        self._first, self._received = memoryview(first), len(first)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """A file to read the answer from; the socket stays open when it is closed."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if count := min(len(self._first), len(buffer)):
            buffer[:count], self._first = self._first[:count], self._first[count:]
            return count
        if self._received > ANSWER_BYTES:
            raise http.client.HTTPException("the answer is too large")
        self._socket.settimeout(self._deadline.left())
        count = self._socket.recv_into(buffer)
        self._received += count
        return count
