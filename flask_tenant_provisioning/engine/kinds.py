"""Every kind of work that waits in rows: what is due of it, since when it has waited, and the work itself.

Workers, the due check, Celery's sweep, health and doctor go through this one list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select

from ..bulk.statements import jobs_are_due, waiting_jobs
from ..bulk.working import BulkWork
from ..database import Storage
from ..events.statements import waiting_events, waits
from ..steps.running import StepWork
from ..steps.statements import due_steps, steps_are_due
from ..web.mount import Mount
from ..webhooks.allowed import guard_of
from ..webhooks.backlog import due_deliveries
from ..webhooks.delivering import DeliveryWork
from ..webhooks.delivery_statements import endpoints_are_due
from ..webhooks.secrets import signing_keys
from ..webhooks.sending import Sender
from .base import Work


class Kind(NamedTuple):
    """One kind of work.

    `is_due` is a condition: a worker finds something to do at the instant `now`. `waiting` selects, as `since`, since
    when each piece could have been done that no worker has begun; what is at work or rests waits for nothing. `work`
    makes what a worker does, with a number of threads where that can be chosen; None where the chores do it.
    """

    name: str
    is_due: Callable[[Storage], ColumnElement[bool]]
    waiting: Callable[[Storage], Select[Any]]
    work: Callable[[Mount, int | None], Work] | None


def step_work(mount: Mount, threads: int | None = None) -> StepWork:
    """The steps of `mount`, of which so many `threads` run at once, else as many as it is configured."""
    slots, lease = threads or mount.settings.worker_threads, float(mount.settings.worker_lease_seconds)
    return StepWork(mount.storage, mount.hooks, mount.in_host, lease=lease, slots=slots)


def _deliveries(mount: Mount, threads: int | None) -> DeliveryWork:
    sender, lease = Sender(guard_of(mount.settings)), float(mount.settings.worker_lease_seconds)
    return DeliveryWork(mount.storage, sender, partial(signing_keys, mount.keyring), lease)


def _bulk(mount: Mount, threads: int | None) -> BulkWork:
    return BulkWork(mount, float(mount.settings.worker_lease_seconds))


STEPS = Kind("steps", steps_are_due, due_steps, step_work)
DELIVERIES = Kind("deliveries", endpoints_are_due, due_deliveries, _deliveries)
BULK = Kind("bulk jobs", jobs_are_due, waiting_jobs, _bulk)
EVENTS = Kind("events", waits, waiting_events, None)

KINDS = (STEPS, DELIVERIES, BULK, EVENTS)
