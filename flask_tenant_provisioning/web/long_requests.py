"""Limits on long requests, each of which occupies a thread of the host's server, and the reading of bodies.

A request that reads its body for longer than `SHORT_REQUEST_SECONDS`, a progress stream and a download take a slot. The
number of slots is limited for each partner and for the process, which by default has fewer than half as many as the
server has threads, if that number is known. Without a free slot the request ends with a problem.

A thread that waits for a client cannot check the time. If the server exposes its socket (gunicorn and Werkzeug's
development server do), a watchdog thread shuts the socket down when the time is over, and the read or write returns. On
other servers the time is checked only between two reads; see "Slow clients" in the hosting guide.

A body is read from the server directly, with limits on its size and time. A host's hook that reads the body through
Flask's `request` afterwards would wait for bytes that never come, so `request.stream` is replaced by what was read.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from flask import request
from werkzeug.exceptions import ClientDisconnected

from ..config import Config
from ..errors import BodyTooLarge, BodyTooSlow, ProvisioningError, ServerBusy, TooManyLongRequests, UploadTooSlow
from ..mount import Api

#: Seconds after which a request needs a slot.
SHORT_REQUEST_SECONDS = 1.0
#: Minimum rate of an upload or download after the first `GRACE_SECONDS`, and the maximum pause between two parts.
MIN_BYTES_PER_SECOND, GRACE_SECONDS, MAX_PAUSE_SECONDS = 16 * 1024, 30.0, 30.0
#: Interval between two checks by the watchdog, and the time without work after which its thread ends.
WATCHDOG_INTERVAL_SECONDS, WATCHDOG_IDLE_SECONDS = 0.25, 30.0
#: Number of slots of a process if the number of the server's threads is unknown.
DEFAULT_LONG_REQUESTS = 3
_RETRY_AFTER, _CLOSE = {"Retry-After": "5"}, {"Connection": "close"}


class RequestSlots:
    """Slots for long requests: `total` in this process, `per_partner` for one partner. Thread-safe."""

    def __init__(self, total: int, per_partner: int) -> None:
        self.total, self.per_partner = total, min(per_partner, total)
        self._lock = threading.RLock()  # a slot may be garbage-collected, and so released, while the lock is held
        self._used: dict[str, int] = {}

    def acquire(self, partner: str) -> RequestSlot:
        """Return a slot. Raises `TooManyLongRequests` or `ServerBusy` if none is free."""
        with self._lock:
            own = self._used.get(partner, 0)
            if own >= self.per_partner:
                detail = f"This partner has {own} long request{'s' if own > 1 else ''} under way: "
                detail += "a slow body, an upload, a stream or a download."
                raise TooManyLongRequests(detail, headers=_RETRY_AFTER)
            if self.used >= self.total:
                raise ServerBusy
            self._used[partner] = own + 1
        return RequestSlot(self, partner)

    @property
    def used(self) -> int:
        """Number of slots in use."""
        with self._lock:
            return sum(self._used.values())

    def release(self, partner: str) -> None:
        """Free one slot of `partner`."""
        with self._lock:
            self._used[partner] -= 1
            if not self._used[partner]:
                del self._used[partner]


class RequestSlot:
    """A slot in use, until it is released or garbage-collected."""

    def __init__(self, slots: RequestSlots, partner: str) -> None:
        self._slots: RequestSlots | None = slots
        self._partner = partner
        self._lock = threading.RLock()

    def release(self) -> None:
        """Free the slot. May be called more than once."""
        with self._lock:
            slots, self._slots = self._slots, None
        if slots is not None:
            slots.release(self._partner)

    __del__ = release


class Pace(NamedTuple):
    """Limits for a slow client: `seconds` in total, the minimum rate after the grace period, `pause` for one part.

    `refusal` is the error of a client that exceeds them.
    """

    seconds: float
    bytes_per_second: int
    pause: float
    refusal: type[BodyTooSlow]


class LongRequest:
    """A request that waits for its client, checked by its own thread and by the watchdog.

    `acquire` is `RequestSlots.acquire`; `monotonic` is a clock in seconds. A stream ends soon if `is_hurried`.
    """

    __slots__ = (
        "_acquire",
        "_lock",
        "_monotonic",
        "_pace",
        "_partner",
        "_slot",
        "_started_at",
        "_waited_seconds",
        "_waiting_since",
        "is_hurried",
        "refusal",
        "size",
    )

    def __init__(
        self,
        pace: Pace,
        acquire: Callable[[str], RequestSlot],
        partner: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = 0
        self.is_hurried = False
        self.refusal: ProvisioningError | None = None
        self._pace, self._acquire, self._partner, self._monotonic = pace, acquire, partner, monotonic
        self._slot: RequestSlot | None = None
        self._lock = threading.Lock()
        self._started_at = monotonic()
        self._waiting_since: float | None = None
        self._waited_seconds = 0.0

    def start_waiting(self) -> None:
        """Start to wait for the client."""
        self._waiting_since = self._monotonic()

    def resume(self, count: int) -> None:
        """Stop waiting, after `count` bytes were transferred. Raises the refusal if the request must end."""
        now = self._monotonic()
        self.size += count
        if self.refusal is not None or now - self._started_at > SHORT_REQUEST_SECONDS:
            self.check()
        since, self._waiting_since = self._waiting_since, None
        self._waited_seconds += now - (now if since is None else since)

    def acquire_slot(self) -> None:
        """Take a slot now. Raises `TooManyLongRequests` or `ServerBusy`."""
        with self._lock:
            if self._slot is None:
                self._slot = self._acquire(self._partner)

    def check(self) -> None:
        """Raise the refusal if the request must end."""
        if (refusal := self.find_refusal()) is not None:
            raise refusal

    def find_refusal(self) -> ProvisioningError | None:
        """Return the refusal if the client is too slow or no slot is free; else None."""
        with self._lock:
            if self.refusal is None:
                self.refusal = self._find_refusal(self._monotonic())
            return self.refusal

    def release(self) -> None:
        """Free the slot, if one was taken."""
        with self._lock:
            if self._slot is not None:
                self._slot.release()

    def _find_refusal(self, now: float) -> ProvisioningError | None:
        since, pace = self._waiting_since, self._pace
        pause = 0.0 if since is None else now - since
        waited = self._waited_seconds + pause
        is_slow = waited > GRACE_SECONDS and self.size < waited * pace.bytes_per_second
        if waited > pace.seconds or pause > pace.pause or is_slow:
            return pace.refusal(
                f"Only {self.size} bytes came in {waited:.0f} seconds.", headers={"Connection": "close"}
            )
        if now - self._started_at > SHORT_REQUEST_SECONDS and self._slot is None:
            try:
                self._slot = self._acquire(self._partner)
            except ProvisioningError as busy:
                return busy
        return None


class Watchdog:
    """Shuts down the connections of requests that exceed their limits while their threads wait.

    Runs in one daemon thread, which is started when needed and ends when idle.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._watched: dict[LongRequest, tuple[Any, int]] = {}
        self._thread: threading.Thread | None = None
        self._process = 0

    def add(self, hold: LongRequest, connection: Any, how: int = socket.SHUT_RD) -> None:
        """Watch `hold`. Its `connection` is shut down with `how`, such as `socket.SHUT_RD`."""
        if self._process != os.getpid():
            self._watched, self._thread, self._process = {}, None, os.getpid()
        self._watched[hold] = connection, how
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="provisioning-watchdog", daemon=True)
            self._thread.start()

    def remove(self, hold: LongRequest) -> None:
        """Stop watching `hold`."""
        self._watched.pop(hold, None)

    def check(self) -> None:
        """Check every watched request, and shut down the connections of those that must end."""
        for hold, (connection, how) in self._watched.copy().items():
            if hold.find_refusal() is not None and self._watched.pop(hold, None) is not None:
                shut_down(connection, how)

    def _run(self) -> None:
        thread, idle_seconds = threading.current_thread(), 0.0
        while self._thread is thread:
            self._sleep(WATCHDOG_INTERVAL_SECONDS)
            self.check()
            idle_seconds = 0.0 if self._watched else idle_seconds + WATCHDOG_INTERVAL_SECONDS
            if idle_seconds >= WATCHDOG_IDLE_SECONDS:
                self._thread = None
                if self._watched:  # a request was added in between: continue, unless it has started another thread
                    self._thread, idle_seconds = self._thread or thread, 0.0


class LongRequestLimits:
    """The limits of one mount in this process: its slots, its watchdog, and the pace of a body that is read whole."""

    def __init__(self, api: Api) -> None:
        config = api.config
        total = config.long_requests or _count_spare_threads(config.server_threads or _count_waitress_threads())
        self.slots = RequestSlots(total, config.long_requests_per_partner or (total + 1) // 2)
        self.watchdog = Watchdog()
        self.body_pace = Pace(config.body_seconds, 0, config.body_seconds, BodyTooSlow)


def make_upload_pace(config: Config) -> Pace:
    """Return the limits for a bulk upload."""
    return Pace(config.upload_seconds, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, UploadTooSlow)


def find_connection(environ: Mapping[str, Any]) -> Any:
    """Return the socket of this request; None if the server does not expose it or shares it between requests."""
    if not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1"):
        return None
    return environ.get("gunicorn.socket") or environ.get("werkzeug.socket")


def shut_down(connection: Any, how: int) -> None:
    """Shut down a socket below TLS, whose own `shutdown` would continue in plain text; does nothing for None."""
    if connection is not None:
        shutdown = socket.socket.shutdown if isinstance(connection, socket.socket) else type(connection).shutdown
        with contextlib.suppress(OSError):
            shutdown(connection, how)


def _count_spare_threads(threads: int) -> int:
    """Return the number of slots for a server with so many threads: fewer than half. 0 means unknown."""
    return max((threads - 1) // 2, 1) if threads else DEFAULT_LONG_REQUESTS


def _count_waitress_threads() -> int:
    """Return the number of waitress's threads in this process; 0 if it is not the server."""
    return sum(thread.name.startswith("waitress-") for thread in threading.enumerate())


#: Size of the first read, which grows with the bytes received, and of the largest, in bytes. With small first reads a
#: slow client is noticed early.
_FIRST_READ_BYTES, _MAX_READ_BYTES = 64, 64 * 1024
#: Maximum size of an upload that stays readable for the host's hooks, in bytes.
MAX_EXPOSED_BODY = 64 * 1024


class Readable(Protocol):
    """A stream of bytes; a read returns at most `size` of them, and none at the end."""

    def read(self, size: int, /) -> bytes: ...


class BodyReader:
    """Reader of the current request's body; `announced` is its ``Content-Length``, None if unknown.

    If a host's hook has accessed `request.stream` before, the rest of that stream is read; if nothing is left, the data
    that Flask has cached.
    """

    def __init__(self, hold: LongRequest, watchdog: Watchdog) -> None:
        environ = request.environ
        self.announced = request.content_length
        self._bytes_left: float
        self._hold, self._watchdog = hold, watchdog
        self._was_accessed = "stream" in vars(request)
        self._stream: Readable = environ["wsgi.input"]
        if self._was_accessed:
            self._stream, self._bytes_left = request.stream, math.inf
        elif self.announced is not None:
            self._bytes_left = self.announced
        else:  # without any framing there is no body (RFC 9112 §6.3)
            self._bytes_left = math.inf if environ.get("wsgi.input_terminated") else 0
        self._connection = find_connection(environ)
        self._bytes_read = 0

    def read(self, max_size: int) -> bytes:
        """Return at most `max_size` bytes, none at the end.

        Raises `ClientDisconnected` if the body ends before its announced size, and `BodyTooSlow`, `UploadTooSlow`,
        `TooManyLongRequests` or `ServerBusy` if the client is too slow.
        """
        if not self._bytes_left:
            return b""
        is_watched = self._connection is not None and self.announced is not None
        read_size = _MAX_READ_BYTES if is_watched else max(self._bytes_read, _FIRST_READ_BYTES)
        size = int(min(max_size, self._bytes_left, read_size, _MAX_READ_BYTES))
        if size <= 0:
            return b""
        hold, connection, part = self._hold, self._connection, b""
        hold.start_waiting()
        if connection is not None:
            self._watchdog.add(hold, connection)
        try:
            part = self._stream.read(size)
        except (OSError, ValueError) as error:
            if hold.refusal is None:
                raise ClientDisconnected from error
        finally:
            if connection is not None:
                self._watchdog.remove(hold)
        hold.resume(len(part))
        if not part and not self._was_accessed and self._bytes_left != math.inf:
            raise ClientDisconnected
        if not part and not self._bytes_read and self._was_accessed:
            part, self._bytes_left = request.get_data(), 0
        self._bytes_read += len(part)
        self._bytes_left -= len(part)
        return part


def read_body(config: Config, limits: LongRequestLimits, partner: str, max_bytes: float = math.inf) -> bytes:
    """Return the whole body of the current request, which takes one of the partner's slots if it lasts.

    It may have `max_bytes`, if the mount's and the host's limits are not smaller. Raises `BodyTooLarge`, `BodyTooSlow`,
    `TooManyLongRequests` or `ServerBusy`.
    """
    limit = int(min(get_body_limit(config), max_bytes))
    hold = LongRequest(limits.body_pace, limits.slots.acquire, partner)
    parts: list[bytes] = []
    size, exposed = 0, b"{}" if request.is_json else b""
    try:
        incoming = BodyReader(hold, limits.watchdog)
        if incoming.announced is not None and incoming.announced > limit:
            raise make_body_too_large(limit)
        while part := incoming.read(limit + 1 - size):
            parts.append(part)
            size += len(part)
        if size > limit:
            raise make_body_too_large(limit)
        exposed = parts[0] if len(parts) == 1 else b"".join(parts)
        return exposed
    finally:
        hold.release()
        expose_body(exposed)


def expose_body(data: bytes) -> None:
    """Make `data` the body that the host's hooks read from Flask. What Flask has cached already stays."""
    request.stream = io.BytesIO(data)


def get_body_limit(config: Config) -> int:
    """Return the maximum body size in bytes: the smaller one of the mount's and the host's limits."""
    host_limit = request.max_content_length
    return config.max_body_bytes if host_limit is None else min(config.max_body_bytes, host_limit)


def make_body_too_large(limit: int) -> BodyTooLarge:
    """Return an error that states the limit, in bytes."""
    return BodyTooLarge(f"The body is larger than {limit} bytes.", limit=limit)
