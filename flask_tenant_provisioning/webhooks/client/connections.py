"""HTTP/1.1 connections with a deadline and a limit on the size of responses, and the pool that keeps them open."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

_TOKEN = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_FIELD = re.compile(rb"\r\n(" + _TOKEN + rb"):[ \t]*([^\r\n\0]*)")
_HEAD = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2})(?: [^\r\n\0]*)?((?:\r\n" + _TOKEN + rb":[^\r\n\0]*)*)")
_LENGTH = re.compile(rb"[0-9]{1,4}")


class SimpleResponse(NamedTuple):
    """A response that `parse_simple_response` understood."""

    status: int
    retry_after: str | None
    content: bytes


def parse_simple_response(data: bytes) -> SimpleResponse | None:
    """Parse `data` on the fast path: a complete HTTP/1.1 response after which the connection stays open.

    It has a Content-Length or, with status 204, no content, and no repeated field (RFC 9112 §6). Returns None for
    anything else, which is left to `http.client`.
    """
    head, end, content = data.partition(b"\r\n\r\n")
    match = _HEAD.fullmatch(head)
    if not end or match is None:
        return None
    pairs = _FIELD.findall(match[2])
    fields = {name.lower(): value.rstrip(b" \t") for name, value in pairs}
    if len(fields) < len(pairs) or b"transfer-encoding" in fields or not _is_kept_alive(fields):
        return None
    status, length = int(match[1]), fields.get(b"content-length", b"")
    if not (status == 204 and not content) and not (_LENGTH.fullmatch(length) and int(length) == len(content)):
        return None
    retry_after = fields.get(b"retry-after")
    return SimpleResponse(status, None if retry_after is None else retry_after.decode("latin-1"), content)


def _is_kept_alive(fields: dict[bytes, bytes]) -> bool:
    return fields.get(b"connection", b"keep-alive").lower() == b"keep-alive"


#: The maximum number of bytes read of a response's content, unless the caller reads more, and of its head and chunk
#: framing.
MAX_CONTENT_BYTES = 8 * 1024
_MAX_FRAMING_BYTES = 56 * 1024
#: The size of one read, in bytes.
_READ_SIZE = 16 * 1024
#: The interim responses (RFC 9110 §15.2) to skip; `http.client` skips 100 itself.
_INTERIM_STATUSES = (102, 103)


class NoResponse(ConnectionError):
    """The receiver closed the connection before it sent any byte of a response."""


class Deadline:
    """A point in time, `seconds` from now on the clock `monotonic`, by which an operation must finish."""

    def __init__(self, seconds: float, monotonic: Callable[[], float]) -> None:
        self._end, self._monotonic = monotonic() + seconds, monotonic

    def remaining(self) -> float:
        """Return the remaining seconds, always more than 0. Raises `TimeoutError` when the deadline has passed."""
        seconds = self._end - self._monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds


class ConnectionKey(NamedTuple):
    """The scheme, host name, port and address that a connection may be used for."""

    scheme: str
    host: str
    port: int
    address: str


class RawResponse(NamedTuple):
    """A response as received; `content` is cut to the size that the caller reads."""

    status: int
    #: The unparsed ``Retry-After`` header.
    retry_after: str | None
    content: bytes
    #: Whether the response was read completely and the receiver keeps the connection open.
    is_reusable: bool


class Connection:
    """A connection over an open socket; it carries one exchange at a time."""

    def __init__(self, key: ConnectionKey, sock: socket.socket) -> None:
        self.key = key
        self._socket = sock

    def exchange(self, request: bytes, deadline: Deadline, max_content: int = MAX_CONTENT_BYTES) -> RawResponse:
        """Send `request` and read the response, whose content is cut to `max_content` bytes.

        Raises `TimeoutError` at the deadline, `NoResponse` if the connection was closed without a response, another
        `OSError` if it broke, and `http.client.HTTPException` if the response is not valid HTTP.
        """
        data = self._send_and_receive(request, deadline)
        simple = parse_simple_response(data)
        if simple is not None and len(simple.content) <= max_content:
            return RawResponse(*simple, is_reusable=True)
        stream = _ResponseStream(self._socket, deadline, data, max_content + _MAX_FRAMING_BYTES)
        with http.client.HTTPResponse(cast(socket.socket, stream), method="POST") as response:
            _read_head(response)
            content = _read_content(response, max_content)
            is_reusable = response.isclosed() and not response.will_close
            return RawResponse(response.status, response.headers.get("Retry-After"), content, is_reusable)

    def is_idle(self) -> bool:
        """Return whether the connection is open and the receiver has sent no unexpected bytes."""
        try:
            self._socket.settimeout(0)
            socket.socket.recv(self._socket, 1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close the connection. Closing it again has no effect."""
        self._socket.close()

    def _send_and_receive(self, request: bytes, deadline: Deadline) -> bytes:
        """Send `request` and return the first bytes of the response. Raises `NoResponse` if there are none."""
        try:
            self._send(request, deadline)
            self._socket.settimeout(deadline.remaining())
            data = self._socket.recv(_READ_SIZE)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError) as error:
            raise NoResponse from error
        if not data:
            raise NoResponse
        return data

    def _send(self, data: bytes, deadline: Deadline) -> None:
        view = memoryview(data)
        while view:
            self._socket.settimeout(deadline.remaining())
            view = view[self._socket.send(view) :]


def _read_head(response: http.client.HTTPResponse) -> None:
    response.begin()
    while response.status in _INTERIM_STATUSES:
        response.headers = response.msg = cast(Any, None)
        response.begin()


def _read_content(response: http.client.HTTPResponse, max_content: int) -> bytes:
    try:
        content = response.read(max_content)[:max_content]
    except ValueError as error:
        raise http.client.HTTPException("a chunk has no size") from error
    if response.length and len(content) < max_content:
        raise http.client.IncompleteRead(content, response.length)
    return content


class _ResponseStream(io.RawIOBase):
    """The bytes of one response in the form that `http.client` reads, which is that of a socket."""

    def __init__(self, sock: socket.socket, deadline: Deadline, prefix: bytes, max_bytes: int) -> None:
        self._socket, self._deadline, self._max_bytes = sock, deadline, max_bytes
        self._prefix, self._received = memoryview(prefix), len(prefix)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return a file to read the response from. Closing it leaves the socket open."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if count := min(len(self._prefix), len(buffer)):
            buffer[:count], self._prefix = self._prefix[:count], self._prefix[count:]
            return count
        if self._received > self._max_bytes:
            raise http.client.HTTPException("the answer is too large")
        self._socket.settimeout(self._deadline.remaining())
        count = self._socket.recv_into(buffer)
        self._received += count
        return count


class ConnectionPool:
    """A pool of at most `size` idle connections, each kept for at most `seconds`. Thread-safe."""

    def __init__(self, size: int, seconds: float, monotonic: Callable[[], float]) -> None:
        self._size, self._seconds, self._monotonic = size, seconds, monotonic
        self._lock = threading.Lock()
        #: When each idle connection became idle, the oldest first.
        self._since: dict[Connection, float] = {}
        self._idle: dict[ConnectionKey, list[Connection]] = {}

    def take(self, keys: Iterable[ConnectionKey]) -> Connection | None:
        """Remove and return a live connection for the first of `keys` that has one, or None."""
        for key in keys:
            while (connection := self._take_newest(key)) is not None:
                if connection.is_idle():
                    return connection
                connection.close()
        return None

    def keep(self, connection: Connection) -> None:
        """Add an idle connection, and close those that are too old or exceed the limit."""
        with self._lock:
            self._since[connection] = self._monotonic()
            self._idle.setdefault(connection.key, []).append(connection)
            self._close_excess()

    def close(self) -> None:
        """Close every idle connection, and every connection that is added later."""
        with self._lock:
            self._size = 0
            self._close_excess()

    def close_in_child(self) -> None:
        """Close the parent's connections in a forked child; the parent's own copies stay open.

        It does not take the lock, which another thread of the parent may have held at the fork.
        """
        for connection in list(self._since):
            connection.close()

    def _take_newest(self, key: ConnectionKey) -> Connection | None:
        with self._lock:
            self._close_excess()
            if key not in self._idle:
                return None
            connection = self._idle[key][-1]
            self._remove(connection)
            return connection

    def _close_excess(self) -> None:
        before = self._monotonic() - self._seconds
        while self._since:
            oldest = next(iter(self._since))
            if len(self._since) <= self._size and self._since[oldest] >= before:
                break
            self._remove(oldest)
            oldest.close()

    def _remove(self, connection: Connection) -> None:
        del self._since[connection]
        idle = self._idle[connection.key]
        idle.remove(connection)
        if not idle:
            del self._idle[connection.key]
