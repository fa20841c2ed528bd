"""Celery tasks, which run in the host's Celery app.

A task given a mount name that this app does not have, or run outside an app context, raises `RuntimeError`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import shared_task
from flask import current_app, has_app_context

from ..events.feed import publish_all
from ..mount import Mount
from ..mounts import Mounts, get_mounts
from ..steps.claims import find_overdue_steps
from ..steps.models import STEP_WORK
from . import kinds
from .kinds import BULK_TASK, DELIVERIES_TASK, INVITATIONS_TASK, DueCheck
from .maintenance import Maintenance
from .worker import make_worker_for_kind, make_worker_for_steps

logger = logging.getLogger(__name__)
STEPS_TASK = "flask_tenant_provisioning.work"
SWEEP_TASK = "flask_tenant_provisioning.sweep"
MAINTENANCE_TASK = "flask_tenant_provisioning.chores"
#: Seconds that a message may be under way before the sweep sends another.
OVERDUE_SECONDS = 10.0
#: The maximum number of steps per sweep; the rest follows with the next.
MAX_STEPS_PER_SWEEP = 1000
#: Seconds of deliveries or bulk rows per message, so that other messages get their turn.
MAX_TASK_SECONDS = 20.0
_TASK_OPTIONS: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}


@shared_task(name=STEPS_TASK, **_TASK_OPTIONS)
def run_steps(mount: str, keys: Sequence[Sequence[str]]) -> None:
    """Run those of these steps that are due; each key is partner, tenant, phase and name."""
    step_keys = [(partner, tenant, phase, name) for partner, tenant, phase, name in keys]
    make_worker_for_steps(_find_mount(mount), step_keys).drain()


@shared_task(name=DELIVERIES_TASK, **_TASK_OPTIONS)
def deliver_webhooks(mount: str) -> None:
    """Publish pending events and deliver due webhooks."""
    api_mount = _find_mount(mount)
    publish_all(api_mount.storage)
    if make_worker_for_kind(api_mount, kinds.DELIVERIES).drain(MAX_TASK_SECONDS):
        _send_task(DELIVERIES_TASK, mount)


@shared_task(name=BULK_TASK, **_TASK_OPTIONS)
def run_bulk_jobs(mount: str) -> None:
    """Run due chunks of bulk jobs."""
    if make_worker_for_kind(_find_mount(mount), kinds.BULK).drain(MAX_TASK_SECONDS):
        _send_task(BULK_TASK, mount)


@shared_task(name=INVITATIONS_TASK, **_TASK_OPTIONS)
def send_invitations(mount: str) -> None:
    """Send due invitations, and expire those that were not accepted in time."""
    if make_worker_for_kind(_find_mount(mount), kinds.INVITATIONS).drain(MAX_TASK_SECONDS):
        _send_task(INVITATIONS_TASK, mount)


@shared_task(name=SWEEP_TASK, **_TASK_OPTIONS)
def sweep(mount: str) -> None:
    """Publish pending events, and send messages for due work that may have none under way."""
    api_mount = _find_mount(mount)
    publish_all(api_mount.storage)
    due_check = DueCheck(api_mount.storage)
    for kind in kinds.WORK_KINDS:
        if kind.task is not None and due_check.is_kind_due(kind):
            _send_task(kind.task, mount)
    overdue = api_mount.storage.read(partial(find_overdue_steps, limit=MAX_STEPS_PER_SWEEP, age=OVERDUE_SECONDS))
    if overdue:
        logger.info("the sweep found %d overdue steps", len(overdue), extra={"due": len(overdue)})
        api_mount.storage.wake_workers([(STEP_WORK, *key) for key in overdue])


@shared_task(name=MAINTENANCE_TASK, **_TASK_OPTIONS)
def run_maintenance(mount: str) -> None:
    """Run a round of maintenance."""
    Maintenance(_find_mount(mount)).run()


def _send_task(task: str, mount: str) -> None:
    current_app.extensions["celery"].tasks[task].apply_async((mount,))


def _find_mount(name: str) -> Mount:
    """Return the mount of this name. Raises `RuntimeError` with the fix if there is none."""
    if not has_app_context():
        raise RuntimeError(
            "The tasks of flask-tenant-provisioning need the Flask app: "
            "give your Celery app the `task_cls` of Flask's documentation, which enters its application context."
        )
    mounts: Mounts[Mount] = get_mounts(current_app)
    if name not in mounts:
        raise RuntimeError(f"This Flask app has no mount named {name!r}; it has {', '.join(mounts) or 'none'}.")
    return mounts[name]
