"""A job's progress as server-sent events (HTML, §9.2): one whenever something has changed, until it has ended.

A client asks again by itself once a stream ends. A stream holds a thread of the host's server: where none can be spared
it shows the job once and ends, and asking again becomes polling.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple

from ..web.json import render

#: How long a stream lasts at most, how often it looks, and after what silence it says that it is there, in seconds.
LASTS, PAUSE, SILENCE = 300.0, 1.0, 15.0
#: After how many milliseconds a client asks again.
AGAIN = 2000


class Time(NamedTuple):
    """A monotonic clock, in seconds, and what waits by it."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def mark(job: dict[str, Any]) -> str:
    """The id of the event that shows the job as it is."""
    return f"{job['state']}-{job['processed']}"


def stream(look: Callable[[], dict[str, Any]], time: Time, lasts: Callable[[], bool]) -> Generator[bytes]:
    """The events about the job that `look` shows. The stream ends as soon as it no longer `lasts`."""
    yield b"retry: %d\n\n" % AGAIN
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
        if job["finished_at"] is not None or time.now() - begun >= LASTS or not lasts():
            return
        time.sleep(PAUSE)
        if not lasts():
            return


def _event(job: dict[str, Any]) -> bytes:
    kind = "progress" if job["finished_at"] is None else "finished"
    return f"id: {mark(job)}\nevent: {kind}\ndata: {render(job)}\n\n".encode()
