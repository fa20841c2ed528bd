"""Work of which only some pieces are meant: those that a message names."""

from __future__ import annotations

from collections.abc import Iterable

from ..steps.claims import Key
from ..steps.models import Stage
from ..steps.running import StepWork


class Listed:
    """The steps of these keys, as far as they are due. Each is looked at once, when there is somebody to do it."""

    def __init__(self, work: StepWork, keys: Iterable[Key]) -> None:
        self._work = work
        self._left = list(dict.fromkeys(keys))
        self.lease, self.slots = work.lease, work.slots
        self.renew, self.timeout, self.run = work.renew, work.timeout, work.run
        self.expire, self.stop = work.expire, work.stop

    def claim(self, limit: int) -> list[Stage]:
        """Claim at most `limit` of those that are left; what others have claimed or done is passed over."""
        while self._left:
            looked_at, self._left = self._left[:limit], self._left[limit:]
            if found := self._work.claim(limit, looked_at):
                return found
        return []
