"""Streamed responses: long requests that write to their client part by part."""

from __future__ import annotations

import errno
import math
import socket
from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from flask import Response

from ..errors import BodyTooSlow, ProvisioningError
from .long_requests import MAX_PAUSE_SECONDS, MIN_BYTES_PER_SECOND, LongRequest, Pace, Watchdog

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment


class LongResponseBody(Iterator[bytes]):
    """Body of a streamed response. It holds its slot until it ends, is closed or is garbage-collected.

    If the client reads too slowly, or an error occurs midway, the server closes the connection before the last chunk.
    So the client notices that the body is incomplete.
    """

    def __init__(self, parts: Generator[bytes], hold: LongRequest, watchdog: Watchdog, connection: Any) -> None:
        self._parts, self._hold, self._watchdog, self._connection = parts, hold, watchdog, connection
        self._size = 0

    def hurry(self) -> None:
        """End soon, because a host's hook reads the whole body at once."""
        self._hold.is_hurried = True

    def __next__(self) -> bytes:
        """Return the next part. Raises `BrokenPipeError` to end the response, as if the client had disconnected."""
        self._watchdog.remove(self._hold)
        try:
            self._hold.resume(self._size)
            part = next(self._parts)
        except ProvisioningError as refusal:
            self.close()
            raise BrokenPipeError(errno.EPIPE, refusal.detail) from refusal
        except BaseException:
            self.close()
            raise
        self._size = len(part)
        self._hold.start_waiting()
        if self._connection is not None:
            self._watchdog.add(self._hold, self._connection, socket.SHUT_RDWR)
        return part

    def close(self) -> None:
        """End the body and free the slot. May be called more than once."""
        self._watchdog.remove(self._hold)
        self._hold.release()
        self._parts.close()

    __del__ = close


def cut_off(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of a response. Raises `BrokenPipeError`, as `LongResponseBody` does, if an error ends it."""
    try:
        yield from parts
    except ProvisioningError as refusal:
        raise BrokenPipeError(errno.EPIPE, refusal.detail) from refusal


class LongResponse(Response):
    """A response whose body is a `LongResponseBody`. If a host's hook reads it, the stream is asked to end soon."""

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return the body for the server; for a HEAD request, close it at once."""
        if environ["REQUEST_METHOD"] == "HEAD":
            self.close()
        return super().get_app_iter(environ)

    def make_sequence(self) -> None:
        if isinstance(self.response, LongResponseBody):
            self.response.hurry()
        super().make_sequence()


def make_response_pace() -> Pace:
    """Return the limits for the reader of a streamed response."""
    return Pace(math.inf, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, BodyTooSlow)
