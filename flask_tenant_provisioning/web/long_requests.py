"""Requests that last: each holds a thread of the host's server, so they are limited in number and in time.

A request that reads its body for longer than `PATIENCE`, a progress stream and a download take a seat. Seats are
limited for each partner and for the process, which has fewer of them than half of the server's threads where their
number is known. Without a free seat the request ends with a problem, and the thread is free for others.

A thread that waits for bytes of a client cannot look at a clock. Where the server passes its socket on (gunicorn and
Werkzeug's own server do), a watchdog thread shuts the socket down once the time is over, and the read or write returns.
Other servers are covered between two reads only; see "Slow clients" in the hosting guide.
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

#: After how many seconds a request needs a seat.
SHORT_REQUEST_SECONDS = 1.0
#: The slowest upload, in bytes per second, once `GRACE` seconds are over; and the longest pause, in seconds, between
#: two pieces of an upload or of a download.
MIN_BYTES_PER_SECOND, GRACE_SECONDS, MAX_PAUSE_SECONDS = 16 * 1024, 30.0, 30.0
#: How often the watchdog looks, and after how many seconds without work its thread ends.
WATCHDOG_INTERVAL_SECONDS, WATCHDOG_IDLE_SECONDS = 0.25, 30.0
#: How many requests of one process may last where nobody has said how many threads the server has.
DEFAULT_LONG_REQUESTS = 3
_RETRY_AFTER, _CLOSE = {"Retry-After": "5"}, {"Connection": "close"}


class RequestSlots:
    """The places for requests that last: `total` in this process, `each` for one partner. Thread-safe."""

    def __init__(self, total: int, each: int) -> None:
        self.total, self.each = total, min(each, total)
        self._lock = threading.RLock()  # a seat may be collected, and so released, while the lock is held
        self._taken: dict[str, int] = {}

    def take(self, partner: str) -> RequestSlot:
        """Return a seat. Raises `TooManyLongRequests` or `ServerBusy` where none is free."""
        with self._lock:
            own = self._taken.get(partner, 0)
            if own >= self.each:
                detail = f"This partner has {own} long request{'s' if own > 1 else ''} under way: "
                detail += "a slow body, an upload, a stream or a download."
                raise TooManyLongRequests(detail, headers=_RETRY_AFTER)
            if self.taken >= self.total:
                raise ServerBusy
            self._taken[partner] = own + 1
        return RequestSlot(self, partner)

    @property
    def taken(self) -> int:
        """Return how many are taken now."""
        with self._lock:
            return sum(self._taken.values())

    def give_back(self, partner: str) -> None:
        """Free one seat of `partner`."""
        with self._lock:
            self._taken[partner] -= 1
            if not self._taken[partner]:
                del self._taken[partner]


class RequestSlot:
    """A place that is taken until it is released, at the latest when nothing refers to it any more."""

    def __init__(self, seats: RequestSlots, partner: str) -> None:
        self._free: Callable[[], None] | None = lambda: seats.give_back(partner)
        self._lock = threading.RLock()

    def release(self) -> None:
        """Give the seat back; more than once is fine."""
        with self._lock:
            free, self._free = self._free, None
        if free is not None:
            free()

    __del__ = release


class Pace(NamedTuple):
    """Limits for a slow client: `seconds` in all, `bytes_per_second` after the grace, `pause` seconds for one piece."""

    seconds: float
    bytes_per_second: int
    pause: float
    refusal: type[BodyTooSlow]


class LongRequest:
    """A request that may have to wait for its client, judged by its own thread and by the watchdog.

    `take` returns a seat for `partner` or raises why there is none; `monotonic` gives seconds. A stream that
    `is_hurried` ends as soon as it can.
    """

    __slots__ = (
        "_begun",
        "_lock",
        "_now",
        "_pace",
        "_partner",
        "_seat",
        "_since",
        "_take",
        "_waited",
        "is_hurried",
        "refusal",
        "size",
    )

    def __init__(
        self,
        pace: Pace,
        take: Callable[[str], RequestSlot],
        partner: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.size = 0
        self.is_hurried = False
        self.refusal: ProvisioningError | None = None
        self._pace, self._take, self._partner, self._now = pace, take, partner, monotonic
        self._seat: RequestSlot | None = None
        self._lock = threading.Lock()
        self._begun = monotonic()
        self._since: float | None = None
        self._waited = 0.0

    def wait(self) -> None:
        """Begin to wait for the client."""
        self._since = self._now()

    def resume(self, count: int) -> None:
        """Stop waiting: `count` bytes have passed. Raises the refusal where the request must end."""
        now = self._now()
        self.size += count
        if self.refusal is not None or now - self._begun > SHORT_REQUEST_SECONDS:
            self.require()
        since, self._since = self._since, None
        self._waited += now - (now if since is None else since)

    def take_seat(self) -> None:
        """Take a seat now. Raises `TooManyLongRequests` or `ServerBusy`."""
        with self._lock:
            if self._seat is None:
                self._seat = self._take(self._partner)

    def require(self) -> None:
        """Raise why the request must end, if it must."""
        if (refusal := self.judge()) is not None:
            raise refusal

    def judge(self) -> ProvisioningError | None:
        """Return why the request must end now: its client is too slow, or no seat is free for it."""
        with self._lock:
            if self.refusal is None:
                self.refusal = self._judged(self._now())
            return self.refusal

    def release(self) -> None:
        """Give the seat back."""
        with self._lock:
            if self._seat is not None:
                self._seat.release()

    def _judged(self, now: float) -> ProvisioningError | None:
        since, pace = self._since, self._pace
        pause = 0.0 if since is None else now - since
        waited = self._waited + pause
        too_slow = waited > GRACE_SECONDS and self.size < waited * pace.bytes_per_second
        if waited > pace.seconds or pause > pace.pause or too_slow:
            return pace.refusal(
                f"Only {self.size} bytes came in {waited:.0f} seconds.", headers={"Connection": "close"}
            )
        if now - self._begun > SHORT_REQUEST_SECONDS and self._seat is None:
            try:
                self._seat = self._take(self._partner)
            except ProvisioningError as busy:
                return busy
        return None


class Watchdog:
    """Shuts down the connections of requests whose time is over while their threads wait. One thread, while needed."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._watched: dict[LongRequest, tuple[Any, int]] = {}
        self._thread: threading.Thread | None = None
        self._process = 0

    def watch(self, hold: LongRequest, connection: Any, how: int = socket.SHUT_RD) -> None:
        """Watch `hold` until it is forgotten; its `connection` is shut down as `how` says."""
        if self._process != os.getpid():
            self._watched, self._thread, self._process = {}, None, os.getpid()
        self._watched[hold] = connection, how
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="provisioning-watchdog", daemon=True)
            self._thread.start()

    def forget(self, hold: LongRequest) -> None:
        """Watch `hold` no longer."""
        self._watched.pop(hold, None)

    def look(self) -> None:
        """Judge every request that is watched, and cut those that must end."""
        for hold, (connection, how) in self._watched.copy().items():
            if hold.judge() is not None and self._watched.pop(hold, None) is not None:
                shut_down(connection, how)

    def _run(self) -> None:
        me, idle = threading.current_thread(), 0.0
        while self._thread is me:
            self._sleep(WATCHDOG_INTERVAL_SECONDS)
            self.look()
            idle = 0.0 if self._watched else idle + WATCHDOG_INTERVAL_SECONDS
            if idle >= WATCHDOG_IDLE_SECONDS:
                self._thread = None
                if self._watched:  # added since: go on, unless another thread has been started for it
                    self._thread, idle = self._thread or me, 0.0


class LongResponseBody(Iterator[bytes]):
    """The body of an answer that lasts: it holds its seat until it ends, is closed, or nothing refers to it any more.

    A client that reads more slowly than an upload may be sent is cut off, and so is one that a problem meets midway:
    the server closes the connection before the last chunk, so that the client sees that something is missing.
    """

    def __init__(self, parts: Generator[bytes], hold: LongRequest, watchdog: Watchdog, connection: Any) -> None:
        self._parts, self._hold, self._watchdog, self._connection = parts, hold, watchdog, connection
        self._size = 0

    def hurry(self) -> None:
        """A hook of the host's wants all of it at once."""
        self._hold.is_hurried = True

    def __next__(self) -> bytes:
        """Raises `BrokenPipeError`, which servers take for a client that has gone, where the client is cut off."""
        self._watchdog.forget(self._hold)
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
        self._hold.wait()
        if self._connection is not None:
            self._watchdog.watch(self._hold, self._connection, socket.SHUT_RDWR)
        return part

    def close(self) -> None:
        """End it, and give the seat back; more than once is fine."""
        self._watchdog.forget(self._hold)
        self._hold.release()
        self._parts.close()

    __del__ = close


def cut_off(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts of an answer. Raises `BrokenPipeError`, as a `LongAnswer` does, where a problem ends it."""
    try:
        yield from parts
    except ProvisioningError as refusal:
        raise BrokenPipeError(errno.EPIPE, refusal.detail) from refusal


class LongResponse(Response):
    """A response whose body is a `LongAnswer`; a hook of the host's that reads it is given all at once."""

    def get_app_iter(self, environ: WSGIEnvironment) -> Iterable[bytes]:
        """Return what the server sends: nothing of it for a HEAD request, which is over at once then."""
        if environ["REQUEST_METHOD"] == "HEAD":
            self.close()
        return super().get_app_iter(environ)

    def make_sequence(self) -> None:
        if isinstance(self.response, LongResponseBody):
            self.response.hurry()
        super().make_sequence()


def make_slots(api: Api) -> RequestSlots:
    """The seats of one mount in this process."""
    settings = api.settings
    total = settings.long_requests or _count_spare_threads(settings.server_threads or _count_waitress_threads())
    return RequestSlots(total, settings.long_requests_per_partner or (total + 1) // 2)


def make_watchdog(_api: Api) -> Watchdog:
    """The watchdog of one mount in this process."""
    return Watchdog()


def make_body_pace(settings: Config) -> Pace:
    """The pace of a body that is read as a whole."""
    return Pace(settings.body_seconds, 0, settings.body_seconds, BodyTooSlow)


def make_upload_pace(settings: Config) -> Pace:
    """The pace of a bulk upload."""
    return Pace(settings.upload_seconds, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, UploadTooSlow)


def make_response_pace() -> Pace:
    """The pace at which an answer that lasts must be read."""
    return Pace(math.inf, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, BodyTooSlow)


def find_connection(environ: Mapping[str, Any]) -> Any:
    """The connection of this request alone; None where the server shows none, or shares it between requests."""
    if not environ.get("SERVER_PROTOCOL", "").startswith("HTTP/1"):
        return None
    return environ.get("gunicorn.socket") or environ.get("werkzeug.socket")


def shut_down(connection: Any, how: int) -> None:
    """Shut down below any TLS, whose own `shutdown` would let the answer out in plain text; None is no connection."""
    if connection is not None:
        shutdown = socket.socket.shutdown if isinstance(connection, socket.socket) else type(connection).shutdown
        with contextlib.suppress(OSError):
            shutdown(connection, how)


def _count_spare_threads(threads: int) -> int:
    """Return how many of a server's threads may be held: fewer than half; 0 stands for an unknown number."""
    return max((threads - 1) // 2, 1) if threads else DEFAULT_LONG_REQUESTS


def _count_waitress_threads() -> int:
    """Return how many threads waitress has in this process; 0 where it does not serve."""
    return sum(thread.name.startswith("waitress-") for thread in threading.enumerate())
