"""A worker: claims due work and runs each piece in its own thread."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ..encoding import format_error
from ..mount import Mount
from ..steps.claims import StepKey
from ..steps.execution import StepWork
from ..steps.models import RunStep
from .kinds import WORK_KINDS, DueCheck, Work, WorkKind, make_step_work
from .maintenance import Maintenance

logger = logging.getLogger(__name__)
#: The minimum delay between two rounds that only events cause, in seconds.
EVENT_DELAY = 0.2
#: The maximum exponent of the idle delay: an idle worker waits twice as long after each round without work.
_MAX_IDLE_ROUNDS = 10


@dataclasses.dataclass(eq=False)
class _RunningPiece:
    """A claimed `piece` of `work`, its deadline in monotonic seconds, and whether it has ended."""

    work: Work
    piece: Any
    deadline: float
    done: bool = False


class Worker:
    """Runs work of one mount until it is stopped. Several workers, in any processes, share the work safely."""

    def __init__(
        self,
        *works: Work,
        maintenance: Maintenance | None = None,
        is_work_due: Callable[[], bool] = lambda: True,
        poll: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._works, self._maintenance, self._is_work_due, self._poll = works, maintenance, is_work_due, poll
        self._lease = min(work.lease for work in works)
        self._running: list[_RunningPiece] = []
        self._changed, self._urgent = threading.Event(), threading.Event()
        self._stopping = False
        self._idle_rounds = _MAX_IDLE_ROUNDS
        self._monotonic = monotonic
        self._renewed = self._last_round = monotonic()

    def wake(self) -> None:
        """Look for work now."""
        self._urgent.set()
        self._changed.set()

    def notify_events(self) -> None:
        """Look for events soon; events of several writes are handled together."""
        self._changed.set()

    def stop(self) -> None:
        """Claim no more work."""
        self._stopping = True
        for work in self._works:
            work.stop()
        self.wake()

    def run(self) -> None:
        """Work until `stop` is called. Pieces may still be running when this returns; see `finish`."""
        while not self._stopping:
            self._changed.clear()
            self._urgent.clear()
            if self._run_once():
                continue
            delay = min(self._calculate_wait(), EVENT_DELAY * 2**self._idle_rounds)
            if self._changed.wait(delay):
                self._urgent.wait(max(0.0, self._last_round + EVENT_DELAY - self._monotonic()))

    def drain(self, within: float = math.inf) -> bool:
        """Work until nothing is due, or for `within` seconds, and wait for running pieces.

        Returns whether the worker was stopped, so that work may still be due.
        """
        end = self._monotonic() + within
        if self._maintenance is not None:
            self._call_safely(self._maintenance.run)
        while not self._stopping and (self._run_once() or self._running):
            if self._monotonic() >= end:
                self.stop()
                self.finish(math.inf)
            elif self._running:
                self._changed.wait(min(self._calculate_wait(), 0.05))
                self._changed.clear()
        return self._stopping

    def finish(self, grace: float) -> int:
        """Wait for running pieces for at most `grace` seconds. Return how many are still running."""
        end = self._monotonic() + grace
        self._check_running()
        while self._running and self._monotonic() < end:
            self._changed.wait(min(self._calculate_wait(), max(0.0, end - self._monotonic())))
            self._changed.clear()
            self._check_running()
        return len(self._running)

    def _run_once(self) -> int:
        """Check running pieces and start new ones. Return how many were started."""
        self._check_running()
        self._last_round = self._monotonic()
        if self._maintenance is not None:
            self._call_safely(self._maintenance.run_if_due)
        if not self._call_safely(self._is_work_due):
            self._idle_rounds = min(self._idle_rounds + 1, _MAX_IDLE_ROUNDS)
            return 0
        self._idle_rounds = 0
        if self._maintenance is not None:
            self._call_safely(self._maintenance.publish)
        return sum(self._claim(work) for work in self._works)

    def _claim(self, work: Work) -> int:
        """Claim and start as many pieces of `work` as it has free slots. Return how many."""
        free_slots = work.slots - sum(running.work is work for running in self._running)
        if free_slots <= 0:
            return 0
        pieces: Sequence[Any] = self._call_safely(partial(work.claim, free_slots)) or ()
        for piece in pieces:
            self._start(work, piece)
        return len(pieces)

    def _start(self, work: Work, piece: Any) -> None:
        running = _RunningPiece(work, piece, self._monotonic() + work.timeout(piece))
        name = f"flask_tenant_provisioning-work-{len(self._running)}"
        self._running.append(running)
        threading.Thread(target=self._run_piece, args=(running,), name=name, daemon=True).start()

    def _run_piece(self, running: _RunningPiece) -> None:
        try:
            running.work.run(running.piece)
        except Exception:
            kind = type(running.work).__name__
            logger.exception("a piece of work failed; it runs again when its lease expires", extra={"work": kind})
        finally:
            running.done = True
            self.wake()

    def _check_running(self) -> None:
        """Remove finished pieces, expire those past their deadline, and renew the leases of the rest."""
        now = self._monotonic()
        for running in list(self._running):
            if running.done:
                self._running.remove(running)
            elif now >= running.deadline:
                self._running.remove(running)
                self._call_safely(partial(running.work.expire, running.piece))
        if self._running and now - self._renewed >= self._lease / 3:
            self._renewed = now
            for work in self._works:
                self._call_safely(partial(self._renew, work))

    def _renew(self, work: Work) -> None:
        pieces = [running.piece for running in self._running if running.work is work]
        if pieces:
            work.renew(pieces)

    def _calculate_wait(self) -> float:
        """Return the seconds until the next poll, deadline or lease renewal."""
        now = self._monotonic()
        deadlines = [running.deadline - now for running in self._running]
        renewal = [self._renewed + self._lease / 3 - now] if self._running else []
        return max(0.0, min([self._poll, *deadlines, *renewal]))

    def _call_safely(self, function: Callable[[], Any]) -> Any:
        """Call `function`; log an exception, such as an unavailable database, and return None."""
        try:
            return function()
        except Exception as error:
            reason = format_error(error)
            logger.error("a worker round failed: %s", reason, extra={"error": reason})
            return None


class SelectedSteps:
    """Step work that is limited to these keys; each key is tried once, when a slot is free."""

    def __init__(self, work: StepWork, keys: Iterable[StepKey]) -> None:
        self._work = work
        self._remaining = list(dict.fromkeys(keys))
        self.lease, self.slots = work.lease, work.slots
        self.renew, self.timeout, self.run = work.renew, work.timeout, work.run
        self.expire, self.stop = work.expire, work.stop

    def claim(self, limit: int) -> list[RunStep]:
        """Claim at most `limit` of the remaining steps; those that are not due are skipped."""
        while self._remaining:
            keys, self._remaining = self._remaining[:limit], self._remaining[limit:]
            steps = self._work.claim(limit, keys)
            if steps:
                return steps
        return []


def make_worker(mount: Mount, threads: int | None = None) -> Worker:
    """Make a worker for all kinds of work of `mount`, including maintenance."""
    poll = float(mount.config.worker_poll_seconds)
    works = [kind.make_work(mount, threads) for kind in WORK_KINDS if kind.make_work is not None]
    return Worker(
        *works, maintenance=Maintenance(mount), is_work_due=DueCheck(mount.storage).is_anything_due, poll=poll
    )


def make_worker_for_kind(mount: Mount, kind: WorkKind) -> Worker:
    """Make a worker for one kind of work. Raises `ValueError` for a kind that only maintenance does."""
    if kind.make_work is None:
        raise ValueError(f"no worker does {kind.name}")
    return Worker(kind.make_work(mount, None))


def make_worker_for_steps(mount: Mount, keys: Iterable[StepKey]) -> Worker:
    """Make a worker for the steps of these keys only."""
    return Worker(SelectedSteps(make_step_work(mount), keys))
