"""What has to be done besides, whoever does it: events get their places, and what is past its time is removed."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable

from ..access import Actor, Principal
from ..bulk import retention as bulk_retention
from ..bulk.pieces import give_back_forgotten
from ..events import retention as event_retention
from ..events.publishing import publish_all
from ..tenants.retention import EVERYBODY, purge_due
from ..web.idempotency import forget_expired
from ..web.mount import Mount
from ..webhooks import retention as delivery_retention
from .erasure import erase_due

logger = logging.getLogger(__name__)

#: Seconds between two rounds, give or take a fifth, so that many workers do not meet.
EVERY = 60.0
#: For how many seconds a worker that has other things to do erases without a pause.
PATIENCE = 5.0
SWEEPER = "provisioning-worker"


class Chores:
    """The chores of one mount."""

    def __init__(self, mount: Mount, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._storage, self._settings = mount.storage, mount.settings
        self._bulk_days, self._bulk_bytes = mount.settings.bulk_retention_days, mount.settings.bulk_kept_bytes
        self._event_days = mount.settings.event_retention_days
        self._monotonic = monotonic
        self._next = monotonic() + random.uniform(0, EVERY)

    def do_when_due(self) -> None:
        """Do them, unless it was done shortly before."""
        if self._monotonic() >= self._next:
            self.do(PATIENCE)

    def publish(self) -> None:
        """Give the events that wait their places."""
        publish_all(self._storage)

    def do(self, within: float = math.inf) -> None:
        """Purge tenants whose retention is over, or let their steps begin to; erase and forget what else is old.

        What is left to be erased after `within` seconds is left to the next round, which is then due at once.
        """
        began = self._monotonic()
        self._next = began + EVERY * random.uniform(0.8, 1.2)
        tenants = purge_due(self._storage, Actor(Principal(SWEEPER, EVERYBODY)))
        while self._storage.transaction(forget_expired):
            pass
        give_back_forgotten(self._storage)
        erased = erase_due(self._storage, self._settings, lambda: self._monotonic() - began < within)
        if self._monotonic() - began >= within:
            self._next = began
        bulk_retention.remove_old(self._storage, self._bulk_days)
        bulk_retention.drop_beyond(self._storage, self._bulk_bytes)
        delivery_retention.remove_old(self._storage, self._event_days)
        events = event_retention.remove_old(self._storage, self._event_days)
        if tenants or events or erased:
            counts = {"tenants": tenants, "events": events, "erased": erased}
            logger.info(
                "the retention of %d tenants and %d events was over; the traces of %d purged tenants are erased",
                tenants,
                events,
                erased,
                extra=counts,
            )
