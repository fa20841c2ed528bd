"""A job's progress as server-sent events (HTML, §9.2): one whenever something has changed, until it has ended.

Whoever follows asks again by itself once a stream ends, with its token looked at anew. A stream holds a thread of the
host's server: where none can be spared it tells how things are and ends, and asking again becomes polling.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ..web.api import Api
from ..web.json import render

#: How long a stream lasts at most, how often it looks, and after what silence it says that it is there, in seconds.
LASTS, PAUSE, SILENCE = 300.0, 1.0, 15.0
#: After how many milliseconds whoever follows asks again.
AGAIN = 2000
#: How many streams of one mount in one process last.
MOST = 4


class Time(NamedTuple):
    """A monotonic clock, in seconds, and what waits by it."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def seats(api: Api) -> threading.Semaphore:
    """The places for streams that last, of one mount in this process."""
    return threading.Semaphore(MOST)


def mark(job: dict[str, Any]) -> str:
    """The id of the event that shows the job as it is."""
    return f"{job['state']}-{job['processed']}"


def stream(look: Callable[[], dict[str, Any]], time: Time, free: threading.Semaphore | None) -> Iterator[bytes]:
    """The events about what `look` shows, which is a job; where no seat is `free`, one event."""
    yield b"retry: %d\n\n" % AGAIN
    if free is None or not free.acquire(blocking=False):
        yield _event(look())
        return
    try:
        yield from _events(look, time)
    finally:
        free.release()


def _events(look: Callable[[], dict[str, Any]], time: Time) -> Iterator[bytes]:
    begun = spoke = time.now()
    told = ""
    while True:
        job = look()
        if mark(job) != told:
            told, spoke = mark(job), time.now()
            yield _event(job)
        elif time.now() - spoke >= SILENCE:
            spoke = time.now()
            yield b": still here\n\n"
        if job["finished_at"] is not None or time.now() - begun >= LASTS:
            return
        time.sleep(PAUSE)


def _event(job: dict[str, Any]) -> bytes:
    kind = "progress" if job["finished_at"] is None else "finished"
    return f"id: {mark(job)}\nevent: {kind}\ndata: {render(job)}\n\n".encode()
