"""A job's progress as server-sent events (HTML, §9.2): one event for each change, until the job has ended.

Clients reconnect by themselves after a stream ends. A stream holds a thread of the host's server: if none is free, it
sends the job once and ends, and reconnecting becomes polling.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from ..encoding import dump_json

#: Seconds: the longest stream, the interval between polls, and the silence after which a comment keeps it alive.
MAX_DURATION, POLL_INTERVAL, KEEPALIVE_INTERVAL = 300.0, 1.0, 15.0
#: The delay after which a client reconnects, sent as the ``retry`` field.
RETRY_MILLISECONDS = 2000


class StreamClock(NamedTuple):
    """A monotonic clock in seconds, and the function that sleeps by it."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def make_event_id(job: dict[str, Any]) -> str:
    """Return the id of the event that shows the job in its present state."""
    return f"{job['state']}-{job['processed']}"


def stream_events(
    load: Callable[[], dict[str, Any]], clock: StreamClock, is_wanted: Callable[[], bool]
) -> Generator[bytes]:
    """Yield the job's events until it has ended, `MAX_DURATION` is over or `is_wanted` returns False.

    `load` returns the job as a response document.
    """
    yield b"retry: %d\n\n" % RETRY_MILLISECONDS
    started = last_sent = clock.now()
    last_id = ""
    while True:
        job = load()
        if make_event_id(job) != last_id:
            last_id, last_sent = make_event_id(job), clock.now()
            yield _format_event(job)
        elif clock.now() - last_sent >= KEEPALIVE_INTERVAL:
            last_sent = clock.now()
            yield b": still here\n\n"
        if job["finished_at"] is not None or clock.now() - started >= MAX_DURATION or not is_wanted():
            return
        clock.sleep(POLL_INTERVAL)
        if not is_wanted():
            return


def _format_event(job: dict[str, Any]) -> bytes:
    kind = "progress" if job["finished_at"] is None else "finished"
    return f"id: {make_event_id(job)}\nevent: {kind}\ndata: {dump_json(job)}\n\n".encode()
