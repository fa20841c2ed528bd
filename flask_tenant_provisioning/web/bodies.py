"""Request bodies: read to their end, in their time, never further than the limit, and left for the host's hooks.

Flask keeps what is read through `request`; what is read from the server behind its back would be missing there, and a
hook of the host's that asks for the body would wait for bytes that never come. So `request` gets a stream of its own.
"""

from __future__ import annotations

import io
from typing import Protocol

from flask import request
from werkzeug.exceptions import ClientDisconnected

from ..config import Settings
from ..problems import BodyTooLarge
from .long_requests import Hold, Watchdog, connection_of

#: How many bytes are read at once: from the first few on as many as have come, so that a slow client is looked at soon.
_FIRST, _MOST = 64, 64 * 1024
#: The largest body, in bytes, that an upload leaves for hooks of the host's.
KEPT = 64 * 1024


class Readable(Protocol):
    """A source of bytes, of which a read returns `size` at most, and none at its end."""

    def read(self, size: int, /) -> bytes: ...


class Incoming:
    """This request's body as it comes, `announced` bytes where that is known.

    A hook of the host's may have touched it before: what it left in `request.stream` is read then, and at last what
    it had Flask keep.
    """

    def __init__(self, hold: Hold, watchdog: Watchdog) -> None:
        self.announced = request.content_length
        self._hold, self._watchdog = hold, watchdog
        self._touched = "stream" in vars(request)
        self._stream, self._left = self._source()
        self._connection = connection_of(request.environ)
        self._read = 0

    def read(self, most: int) -> bytes:
        """Return `most` bytes at most, none at the end.

        Raises `ClientDisconnected` where fewer came than announced, and the refusal of a client that is too slow.
        """
        if not self._left:
            return b""
        whole = self._connection is not None and self.announced is not None
        size = int(min(most, self._left, _MOST if whole else min(max(self._read, _FIRST), _MOST)))
        if size <= 0:
            return b""
        part = self._waited_for(size)
        if not part and not self._touched and self._left != float("inf"):
            raise ClientDisconnected
        if not part and not self._read and self._touched:
            part, self._left = request.get_data(), 0
        self._read += len(part)
        self._left -= len(part)
        return part

    def _waited_for(self, size: int) -> bytes:
        hold, connection = self._hold, self._connection
        hold.wait()
        if connection is not None:
            self._watchdog.watch(hold, connection)
        part = b""
        try:
            part = self._stream.read(size)
        except (OSError, ValueError) as error:
            if hold.refusal is None:
                raise ClientDisconnected from error
        finally:
            if connection is not None:
                self._watchdog.forget(hold)
        hold.go_on(len(part))
        return part

    def _source(self) -> tuple[Readable, float]:
        """The stream, and how many bytes of it are the body; a body that nothing ends is none (RFC 9112 §6.3)."""
        environ = request.environ
        if self._touched:
            return request.stream, float("inf")
        if self.announced is not None:
            return environ["wsgi.input"], self.announced
        return environ["wsgi.input"], float("inf") if environ.get("wsgi.input_terminated") else 0


def read_body(limit: int, hold: Hold, watchdog: Watchdog) -> bytes:
    """The whole body. Raises `BodyTooLarge`, `BodyTooSlow`, `TooManyLongRequests` and `ServerBusy`."""
    parts: list[bytes] = []
    size, left = 0, b"{}" if request.is_json else b""
    try:
        incoming = Incoming(hold, watchdog)
        if incoming.announced is not None and incoming.announced > limit:
            raise too_large(limit)
        while part := incoming.read(limit + 1 - size):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise too_large(limit)
        left = parts[0] if len(parts) == 1 else b"".join(parts)
        return left
    finally:
        hold.release()
        leave(left)


def leave(data: bytes) -> None:
    """Let `data` be what Flask gives hooks of the host's for the body; what Flask has cached already stays."""
    request.stream = io.BytesIO(data)


def body_limit(settings: Settings) -> int:
    """The largest body in bytes: the mount's limit, or the host's where that is smaller."""
    hosts = request.max_content_length
    return settings.max_body_bytes if hosts is None else min(settings.max_body_bytes, hosts)


def too_large(limit: int) -> BodyTooLarge:
    """The refusal that states the limit."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
