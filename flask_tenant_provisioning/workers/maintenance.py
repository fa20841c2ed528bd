"""Periodic maintenance: purge, erase and remove what has expired."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter

from ..access.principal import WORKER_SUBJECT, Actor, Principal
from ..bulk import retention as bulk_retention
from ..bulk.chunks import return_abandoned_places
from ..clients.actions import delete_expired_assertions
from ..config import Config
from ..database.session import Storage
from ..events import retention as event_retention
from ..events.feed import publish_all
from ..mount import Mount
from ..tenants.erasure import Erasure, finish_erasures, load_due_erasures
from ..tenants.lifecycle import ALL_PARTNERS, purge_due
from ..web.idempotency import delete_expired, erase_tenants
from ..webhooks import retention as delivery_retention
from ..webhooks.retention import erase_answers

logger = logging.getLogger(__name__)
#: Seconds between two rounds, varied by a fifth so that workers do not run at the same time.
MAINTENANCE_SECONDS = 60.0
#: Seconds of erasure per round of a worker that has other work.
ERASURE_SECONDS = 5.0


class Maintenance:
    """The periodic maintenance of one mount."""

    def __init__(self, mount: Mount, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._storage, self._config = mount.storage, mount.config
        self._bulk_days, self._bulk_bytes = mount.config.bulk_retention_days, mount.config.bulk_kept_bytes
        self._event_days = mount.config.event_retention_days
        self._monotonic = monotonic
        self._next = monotonic() + random.uniform(0, MAINTENANCE_SECONDS)

    def run_if_due(self) -> None:
        """Run a round if the last one is long enough ago."""
        if self._monotonic() >= self._next:
            self.run(ERASURE_SECONDS)

    def publish(self) -> None:
        """Publish pending events: give each its position in the feed."""
        publish_all(self._storage)

    def run(self, within: float = math.inf) -> None:
        """Purge tenants past their retention, or start their deprovisioning; erase and remove all else that is old.

        Erasure ends after `within` seconds; if some is left, the next round is due at once.
        """
        started = self._monotonic()
        self._next = started + MAINTENANCE_SECONDS * random.uniform(0.8, 1.2)
        tenants = purge_due(self._storage, Actor(Principal(WORKER_SUBJECT, ALL_PARTNERS)))
        while self._storage.transaction(delete_expired):
            pass
        while self._storage.transaction(delete_expired_assertions):
            pass
        return_abandoned_places(self._storage)
        erased = erase_due(self._storage, self._config, lambda: self._monotonic() - started < within)
        if self._monotonic() - started >= within:
            self._next = started
        bulk_retention.remove_old_jobs(self._storage, self._bulk_days)
        bulk_retention.enforce_storage_budget(self._storage, self._bulk_bytes)
        delivery_retention.remove_old_deliveries(self._storage, self._event_days)
        events = event_retention.remove_old_events(self._storage, self._event_days)
        if tenants or events or erased:
            counts = {"tenants": tenants, "events": events, "erased": erased}
            logger.info(
                "maintenance purged %d tenants, removed %d events, and erased the traces of %d purged tenants",
                tenants,
                events,
                erased,
                extra=counts,
            )


def calculate_erasure_days(config: Config) -> int:
    """Return the days from a purge to the erasure of its traces, at most the retention of events.

    The rows of bulk jobs are found by emails and external ids, which only the events still hold.
    """
    return min(config.erasure_days, config.event_retention_days)


def erase_due(storage: Storage, config: Config, should_continue: Callable[[], bool] = lambda: True) -> int:
    """Erase the traces of purged tenants whose erasure is due; return how many, each counted in its first round only.

    Each transaction is small, and repeating an interrupted round is safe. `should_continue` is called between rounds of
    a few hundred tenants, and ends the erasure if it returns False. Events are erased last, since they hold the emails
    and external ids by which rows of bulk jobs are recognized.
    """
    count, days = 0, calculate_erasure_days(config)
    publish_all(storage)
    while should_continue() and (erasures := storage.read(partial(load_due_erasures, days=days))):
        if config.idempotency_hours > 24 * days:  # otherwise responses from before the purge have expired
            erase_tenants(storage, {erasure.tenant_id for erasure in erasures})
        for partner, partner_erasures in groupby(erasures, attrgetter("partner_id")):
            _erase_partner(storage, partner, list(partner_erasures))
        storage.transaction(partial(finish_erasures, erasures=erasures))
        count += len({erasure.tenant_id for erasure in erasures if erasure.erased_at is None})
    return count


def _erase_partner(storage: Storage, partner: str, erasures: Sequence[Erasure]) -> None:
    """Erase the traces of these tenants of one partner."""
    purged = bulk_retention.PurgedTenants({erasure.tenant_id: erasure.purged_at or "" for erasure in erasures}, {})
    for erasure in erasures:
        for document in event_retention.iterate_documents(storage, partner, erasure.tenant_id):
            for key in bulk_retention.extract_unique_keys(document):
                purged.unique_keys[key] = max(erasure.purged_at or "", purged.unique_keys.get(key, ""))
    bulk_retention.erase_tenants(storage, partner, purged)
    for erasure in erasures:
        erase_answers(storage, partner, erasure.tenant_id)
        event_retention.erase_tenant(storage, partner, erasure.tenant_id)
