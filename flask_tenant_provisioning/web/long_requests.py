"""Limits on long requests, each of which occupies a thread of the host's server.

A request that reads its body for longer than `SHORT_REQUEST_SECONDS`, a progress stream and a download take a slot. The
number of slots is limited for each partner and for the process, which by default has fewer than half as many as the
server has threads, if that number is known. Without a free slot the request ends with a problem.

A thread that waits for a client cannot check the time. If the server exposes its socket (gunicorn and Werkzeug's
development server do), a watchdog thread shuts the socket down when the time is over, and the read or write returns. On
other servers the time is checked only between two reads; see "Slow clients" in the hosting guide.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Response

from ..config import Config
from ..errors import BodyTooSlow, ProvisioningError, ServerBusy, TooManyLongRequests, UploadTooSlow
from ..mount import Api

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

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


def make_slots(api: Api) -> RequestSlots:
    """Return the slots of one mount in this process."""
    config = api.config
    total = config.long_requests or _count_spare_threads(config.server_threads or _count_waitress_threads())
    return RequestSlots(total, config.long_requests_per_partner or (total + 1) // 2)


def make_watchdog(_api: Api) -> Watchdog:
    """Return the watchdog of one mount in this process."""
    return Watchdog()


def make_body_pace(config: Config) -> Pace:
    """Return the limits for a body that is read as a whole."""
    return Pace(config.body_seconds, 0, config.body_seconds, BodyTooSlow)


def make_upload_pace(config: Config) -> Pace:
    """Return the limits for a bulk upload."""
    return Pace(config.upload_seconds, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, UploadTooSlow)


def make_response_pace() -> Pace:
    """Return the limits for the reader of a streamed response."""
    return Pace(math.inf, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, BodyTooSlow)


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
