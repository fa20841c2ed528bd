"""Erase the traces of purged tenants from what stays: events, bulk jobs, remembered answers, webhooks' answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from operator import attrgetter

from ..bulk import erasure as bulk
from ..config import Settings
from ..database import Storage
from ..events import erasure as events
from ..events.publishing import publish_all
from ..tenants import erasure as tenants
from ..tenants.erasure import Erasure
from ..web.idempotency import erase_tenants
from ..webhooks.retention import erase_answers


def days_until_erasure(settings: Settings) -> int:
    """Return how many days after a purge the traces go: never later than the events, which tell what they look like."""
    return min(settings.erasure_days, settings.event_retention_days)


def erase_due(storage: Storage, settings: Settings, goes_on: Callable[[], bool] = lambda: True) -> int:
    """Erase the traces of tenants whose time has come; returns of how many, each counted in its first round only.

    Every unit of work is small. One that is interrupted begins this round again, which does nothing twice. Between two
    rounds, of a few hundred tenants each, it ends where `goes_on` says no. Events are erased last: until then they tell
    the emails and external ids by which rows of bulk jobs are known.
    """
    count, days = 0, days_until_erasure(settings)
    publish_all(storage)
    while goes_on() and (erasures := storage.read(partial(tenants.due, days=days))):
        if settings.idempotency_hours > 24 * days:  # else no answer from before the purge is remembered any more
            erase_tenants(storage, {one.tenant_id for one in erasures})
        for partner, mine in groupby(erasures, attrgetter("partner_id")):
            _erase(storage, partner, list(mine))
        storage.transaction(partial(tenants.finish, erasures=erasures))
        count += len({one.tenant_id for one in erasures if one.erased_at is None})
    return count


def _erase(storage: Storage, partner: str, erasures: Sequence[Erasure]) -> None:
    """Erase the traces of these tenants of one partner."""
    purged = bulk.Purged({one.tenant_id: one.purged_at or "" for one in erasures}, {})
    for one in erasures:
        for document in events.documents_of(storage, partner, one.tenant_id):
            for claim in bulk.claims_of(document):
                purged.claims[claim] = max(one.purged_at or "", purged.claims.get(claim, ""))
    bulk.erase(storage, partner, purged)
    for one in erasures:
        erase_answers(storage, partner, one.tenant_id)
        events.erase(storage, partner, one.tenant_id)
