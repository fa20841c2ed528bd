"""The kinds of work that wait in rows: for each, what is due, how long it has waited, and how it is run.

Workers, the due check, Celery's sweep, `/health` and `doctor` iterate over `WORK_KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from sqlalchemy import ColumnElement, Select, and_, or_, select

from ..bulk.models import BULK_WORK
from ..bulk.statements import has_due_jobs, select_waiting_jobs
from ..bulk.worker import BulkWork
from ..database.ids import format_instant
from ..database.session import Storage
from ..database.statements import Statement
from ..events.statements import select_has_pending, select_pending
from ..invitations.models import INVITATION_WORK
from ..invitations.sending import InvitationWork
from ..invitations.statements import has_due_invitations, select_due_invitations
from ..mount import Mount
from ..steps.execution import StepWork
from ..steps.models import STEP_WORK
from ..steps.statements import has_due_steps, select_due_steps
from ..webhooks.client.sender import Sender
from ..webhooks.client.ssrf import make_guard
from ..webhooks.delivery import DeliveryWork
from ..webhooks.endpoint_secrets import load_signing_keys
from ..webhooks.models import DELIVERY_WORK
from ..webhooks.statements import has_due_endpoints, select_due_deliveries


class Work(Protocol):
    """A kind of work that waits in rows; `claim` returns pieces of it. Times are in seconds.

    A claim lasts for `lease` seconds and is extended by `renew`; work whose lease is lost has no effect. A worker runs
    at most `slots` pieces at once. After `stop`, running pieces end as soon as they can.
    """

    lease: float
    slots: int

    def claim(self, limit: int) -> Sequence[Any]:
        """Claim at most `limit` due pieces."""

    def renew(self, pieces: Iterable[Any]) -> None:
        """Extend the leases of running pieces to `lease` seconds from now."""

    def timeout(self, piece: Any) -> float:
        """Return the time after which `expire` is called for a running piece."""

    def run(self, piece: Any) -> None:
        """Do the work of a piece and save its outcome."""

    def expire(self, piece: Any) -> None:
        """Give up a piece that exceeded its timeout, although its `run` has not returned."""

    def stop(self) -> None:
        """End running pieces early where that is possible."""


class WorkKind(NamedTuple):
    """One kind of work. Its `name` is the first element of the keys by which `Session.notify_worker` reports it.

    `is_due` builds the condition that a worker has something to do at the parameter `now`. `select_waiting` selects, as
    `since`, the time from which each unclaimed piece has been due; claimed and resting pieces are not included.
    `make_work` makes the `Work`, with a number of threads where that can be chosen; None if maintenance does it.
    `task` is the Celery task that runs all that is due; None for steps, whose messages carry keys, and for events,
    which the sweep publishes by itself.
    """

    name: str
    is_due: Callable[[Storage], ColumnElement[bool]]
    select_waiting: Callable[[Storage], Select[Any]]
    make_work: Callable[[Mount, int | None], Work] | None
    task: str | None


def make_step_work(mount: Mount, threads: int | None = None) -> StepWork:
    """Make the step work of `mount`, with `threads` slots or as many as configured."""
    slots, lease = threads or mount.config.worker_threads, float(mount.config.worker_lease_seconds)
    return StepWork(mount.storage, mount.registry, mount.in_host, lease=lease, slots=slots)


def _make_delivery_work(mount: Mount, threads: int | None) -> DeliveryWork:
    sender, lease = Sender(make_guard(mount.config)), float(mount.config.worker_lease_seconds)
    return DeliveryWork(mount.storage, sender, partial(load_signing_keys, mount.keyring), lease)


def _make_bulk_work(mount: Mount, threads: int | None) -> BulkWork:
    return BulkWork(mount, float(mount.config.worker_lease_seconds))


def _make_invitation_work(mount: Mount, threads: int | None) -> InvitationWork:
    config = mount.config
    slots, lease = threads or config.worker_threads, float(config.worker_lease_seconds)
    return InvitationWork(
        mount.storage,
        mount.registry,
        lambda: mount.keyring,
        mount.in_host,
        config.invitation_url,
        lease=lease,
        slots=slots,
    )


DELIVERIES_TASK, BULK_TASK = "flask_tenant_provisioning.deliver", "flask_tenant_provisioning.bulk"
INVITATIONS_TASK = "flask_tenant_provisioning.invite"
STEPS = WorkKind(STEP_WORK, has_due_steps, select_due_steps, make_step_work, None)
DELIVERIES = WorkKind(DELIVERY_WORK, has_due_endpoints, select_due_deliveries, _make_delivery_work, DELIVERIES_TASK)
BULK = WorkKind(BULK_WORK, has_due_jobs, select_waiting_jobs, _make_bulk_work, BULK_TASK)
INVITATIONS = WorkKind(
    INVITATION_WORK, has_due_invitations, select_due_invitations, _make_invitation_work, INVITATIONS_TASK
)
EVENTS = WorkKind("events", select_has_pending, select_pending, None, None)
WORK_KINDS = (STEPS, DELIVERIES, BULK, INVITATIONS, EVENTS)


class DueCheckSQL:
    """The statements of `DueCheck` for one storage."""

    def __init__(self, storage: Storage) -> None:
        webhooks, dialect = storage.table("webhooks"), storage.engine.dialect
        is_due = {kind: kind.is_due(storage) for kind in WORK_KINDS}
        has_endpoint = select(webhooks.c.id).where(webhooks.c.enabled == 1).exists()
        has_webhook_work = or_(is_due[DELIVERIES], and_(is_due[EVENTS], has_endpoint))
        self.anything = Statement(select(or_(*is_due.values())), dialect)
        self.has_webhook_work = Statement(select(has_webhook_work), dialect)
        self.of_kind = {kind: Statement(select(condition), dialect) for kind, condition in is_due.items()}


class DueCheck:
    """Checks whether work is due in the tables of one mount."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def is_anything_due(self) -> bool:
        """Return whether work of any kind is due."""
        return self._check(self._storage.once(DueCheckSQL).anything)

    def is_kind_due(self, kind: WorkKind) -> bool:
        """Return whether work of this kind is due."""
        return self._check(self._storage.once(DueCheckSQL).of_kind[kind])

    def has_webhook_work(self) -> bool:
        """Return whether an endpoint is due, or an event is unpublished while any endpoint is enabled."""
        return self._check(self._storage.once(DueCheckSQL).has_webhook_work)

    def _check(self, statement: Statement) -> bool:
        now = {"now": format_instant(self._storage.clock())}
        row = self._storage.read(lambda session: session.run(statement, now).fetchone())
        return bool(row[0])
