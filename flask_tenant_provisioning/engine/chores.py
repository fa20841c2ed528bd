"""What has to be done now and then, whoever does it: what is past its time is removed."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from ..access import Actor, Principal
from ..database import Storage
from ..tenants.retention import purge_due
from ..tenants.usage import EVERYBODY
from ..web.idempotency import forget_expired

logger = logging.getLogger(__name__)

#: Seconds between two rounds, give or take a fifth, so that many workers do not meet.
EVERY = 60.0
SWEEPER = "provisioning-worker"


class Chores:
    """The chores of one mount."""

    def __init__(self, storage: Storage, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._monotonic = monotonic
        self._next = monotonic() + random.uniform(0, EVERY)

    def do_when_due(self) -> None:
        """Do them, unless it was done shortly before."""
        if self._monotonic() >= self._next:
            self.do()

    def do(self) -> None:
        """Purge tenants whose retention is over, or let their steps begin to; forget answers that are kept too long."""
        self._next = self._monotonic() + EVERY * random.uniform(0.8, 1.2)
        tenants = purge_due(self._storage, Actor(Principal(SWEEPER, EVERYBODY)))
        while self._storage.transaction(forget_expired):
            pass
        if tenants:
            logger.info("the retention of %d tenants was over", tenants)
