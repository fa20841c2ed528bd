"""A worker: claims what is due and does it, each piece in a thread of its own."""

from __future__ import annotations

import dataclasses
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..logs import reason_of
from .base import Work
from .chores import Chores

logger = logging.getLogger(__name__)

#: Seconds between two turns for which nothing but events is the reason.
GATHER = 0.2
#: After work there is often more: a worker that found nothing looks again soon, and then ever later.
_QUIETEST = 10


@dataclasses.dataclass(eq=False)
class _Piece:
    """A claimed piece of `work`, the monotonic second by which it has to be done, and whether it is."""

    work: Work
    claimed: Any
    deadline: float
    done: bool = False


class Worker:
    """Does all kinds of work of one mount until it is stopped. Several workers, in any processes, share it safely."""

    def __init__(
        self,
        *works: Work,
        chores: Chores | None = None,
        lookout: Callable[[], bool] = lambda: True,
        poll: float = 2.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._works, self._chores, self._lookout, self._poll = works, chores, lookout, poll
        self._lease = min(work.lease for work in works)
        self._running: list[_Piece] = []
        self._changed, self._urgent = threading.Event(), threading.Event()
        self._stopping = False
        self._quiet = _QUIETEST
        self._monotonic = monotonic
        self._renewed = self._turned = monotonic()

    def wake(self) -> None:
        """Look for work now."""
        self._urgent.set()
        self._changed.set()

    def happened(self) -> None:
        """Look for events soon: those of many writes together."""
        self._changed.set()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping = True
        for work in self._works:
            work.stop()
        self.wake()

    def run(self) -> None:
        """Work until `stop`; returns once nothing more is begun, with what is being done still being done."""
        while not self._stopping:
            self._changed.clear()
            self._urgent.clear()
            begun = self._turn()
            if not begun and self._changed.wait(min(self._rest(), GATHER * 2**self._quiet)):
                self._urgent.wait(max(0.0, self._turned + GATHER - self._monotonic()))

    def drain(self, within: float = math.inf) -> bool:
        """Work until nothing is due, or for so many seconds, and wait for what is being done.

        Returns whether something may still be due.
        """
        end = self._monotonic() + within
        if self._chores is not None:
            self._safely(self._chores.do)
        while not self._stopping and (self._turn() or self._running):
            if self._monotonic() >= end:
                self.stop()
                self.finish(math.inf)
            elif self._running:
                self._changed.wait(min(self._rest(), 0.05))
                self._changed.clear()
        return self._stopping

    def finish(self, grace: float) -> int:
        """Wait for what is being done, for `grace` seconds at most; returns how many pieces were left."""
        end = self._monotonic() + grace
        self._look_after()
        while self._running and self._monotonic() < end:
            self._changed.wait(min(self._rest(), max(0.0, end - self._monotonic())))
            self._changed.clear()
            self._look_after()
        return len(self._running)

    def _turn(self) -> int:
        """Look after what is being done, and begin what can be; returns how many pieces were begun."""
        self._look_after()
        self._turned = self._monotonic()
        if self._chores is not None:
            self._safely(self._chores.do_when_due)
        if not self._safely(self._lookout):
            self._quiet = min(self._quiet + 1, _QUIETEST)
            return 0
        self._quiet = 0
        if self._chores is not None:
            self._safely(self._chores.publish)
        return sum(self._claim(work) for work in self._works)

    def _claim(self, work: Work) -> int:
        """Begin as much of `work` as there is room for; returns how many pieces."""
        free = work.slots - sum(piece.work is work for piece in self._running)
        claimed: Sequence[Any] = self._safely(lambda: work.claim(free)) or () if free > 0 else ()
        for one in claimed:
            self._begin(work, one)
        return len(claimed)

    def _begin(self, work: Work, claimed: Any) -> None:
        piece = _Piece(work, claimed, self._monotonic() + work.timeout(claimed))
        name = f"{__package__}-{len(self._running)}"
        self._running.append(piece)
        threading.Thread(target=self._do, args=(piece,), name=name, daemon=True).start()

    def _do(self, piece: _Piece) -> None:
        try:
            piece.work.run(piece.claimed)
        except Exception:
            kind = type(piece.work).__name__
            logger.exception("a piece of work failed; it is done again when its claim has ended", extra={"work": kind})
        finally:
            piece.done = True
            self.wake()

    def _look_after(self) -> None:
        """Forget what is done, give up what takes too long, and keep the claims of the rest."""
        now = self._monotonic()
        for piece in list(self._running):
            if piece.done:
                self._running.remove(piece)
            elif now >= piece.deadline:
                self._running.remove(piece)
                self._safely(lambda late=piece: late.work.expire(late.claimed))  # type: ignore[misc]
        if self._running and now - self._renewed >= self._lease / 3:
            self._renewed = now
            for work in self._works:
                self._safely(lambda mine=work: self._renew(mine))  # type: ignore[misc]

    def _renew(self, work: Work) -> None:
        if held := [piece.claimed for piece in self._running if piece.work is work]:
            work.renew(held)

    def _rest(self) -> float:
        """How long there is nothing to look after, in seconds."""
        now = self._monotonic()
        deadlines = [piece.deadline - now for piece in self._running]
        renewal = [self._renewed + self._lease / 3 - now] if self._running else []
        return max(0.0, min([self._poll, *deadlines, *renewal]))

    def _safely(self, work: Callable[[], Any]) -> Any:
        """What `work` returns; None where it fails, as when the database is away: the next turn comes."""
        try:
            return work()
        except Exception as error:
            reason = reason_of(error)
            logger.error("a worker's turn failed: %s", reason, extra={"error": reason})
            return None
