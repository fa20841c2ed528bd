"""Progress of a command, reported on stderr."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from .output import truncate
from .rich_output import draw_bar, is_styled, open_console

#: Seconds from one report to the next: on a terminal, and in a log.
TERMINAL_SECONDS, LOG_SECONDS = 0.2, 10.0
_CLEAR_LINE = "\r\x1b[K"
_BAR_WIDTH = 24


class Progress:
    """A status line that is redrawn on a terminal; elsewhere one line every 10 seconds. `clock` returns seconds.

    On a terminal, Rich draws the bar if it is installed.
    """

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._is_terminal = self._stream.isatty()
        self._console = open_console(self._stream) if is_styled(self._stream) else None
        self._interval = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        self._next = clock() + (0.0 if self._is_terminal else self._interval)
        self._is_visible = False

    def is_due(self) -> bool:
        """Return True if the next report is due."""
        return self._clock() >= self._next

    def show(self, text: str, *, done: int = 0, total: int | None = None) -> None:
        """Report `text`. On a terminal, a bar stands before it if a `total` is given."""
        self._next = self._clock() + self._interval
        if self._is_terminal:
            self._stream.write(_CLEAR_LINE + self._format_line(text, done, total))
        else:
            self._stream.write(f"{text}\n")
        self._is_visible = self._is_terminal
        self._stream.flush()

    def _format_line(self, text: str, done: int, total: int | None) -> str:
        columns = shutil.get_terminal_size().columns - 1
        if total is None:
            return truncate(text, columns)
        if self._console is None or columns <= _BAR_WIDTH:
            return truncate(f"{format_bar(done, total)} {text}", columns)
        return draw_bar(self._console, done, total, _BAR_WIDTH) + truncate(f" {text}", columns - _BAR_WIDTH)

    def clear(self) -> None:
        """Erase the status line, so that other output can follow."""
        if self._is_visible:
            self._stream.write(_CLEAR_LINE)
            self._stream.flush()
        self._is_visible = False


class Pace:
    """Speed of a job of `total` rows, `done` of which were processed before it is measured. `clock` returns seconds."""

    def __init__(self, total: int, done: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._done_at_start = total, done
        self._clock, self._started_at = clock, clock()

    def format(self, done: int) -> str:
        """Return a text such as ``45,000 of 100,000 rows, 9,000/s, 0:06 left``."""
        count = f"{done:,} of {self._total:,} rows"
        if done == self._done_at_start:
            return count
        rate = (done - self._done_at_start) / max(self._clock() - self._started_at, 0.001)
        return f"{count}, {rate:,.0f}/s, {_format_duration((self._total - done) / rate)} left"


def format_bar(done: int, total: int) -> str:
    """Return a bar such as ``[##########--------------]``."""
    full = _BAR_WIDTH * done // max(total, 1)
    return f"[{'#' * full}{'-' * (_BAR_WIDTH - full)}]"


def _format_duration(seconds: float) -> str:
    total_minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(total_minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{remaining_seconds:02}"
    return f"{minutes}:{remaining_seconds:02}"
