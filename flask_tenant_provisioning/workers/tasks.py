"""Celery tasks, which run in the host's Celery app."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import shared_task
from flask import current_app, has_app_context

from ..events.feed import publish_all
from ..mount import Mount
from ..steps import claims
from . import kinds
from .kinds import DueCheck
from .maintenance import Maintenance
from .worker import make_worker_for_kind, make_worker_for_steps

logger = logging.getLogger(__name__)
STEPS_TASK, DELIVERIES_TASK, BULK_TASK, SWEEP_TASK, MAINTENANCE_TASK = (
    f"flask_tenant_provisioning.{name}" for name in ("work", "deliver", "bulk", "sweep", "chores")
)
#: The kinds of work of which one message is sent for all that is due; steps are sent for by their keys.
TASK_OF_KIND = {kinds.DELIVERIES: DELIVERIES_TASK, kinds.BULK: BULK_TASK}
#: How long a message may be on its way before the sweep sends another, in seconds.
OVERDUE_SECONDS = 10.0
#: How many steps one sweep sends, at most; there is another soon.
MAX_STEPS_PER_SWEEP = 1000
#: For how many seconds one message has webhooks delivered or rows done, before other messages get their turn.
MAX_TASK_SECONDS = 20.0
_TASK_OPTIONS: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}


@shared_task(name=STEPS_TASK, **_TASK_OPTIONS)
def run_steps(mount: str, keys: Sequence[Sequence[str]]) -> None:
    """Do those of these steps that are due: each by partner, tenant, phase and name."""
    make_worker_for_steps(
        _find_mount(mount), [(partner, tenant, phase, name) for partner, tenant, phase, name in keys]
    ).drain()


@shared_task(name=DELIVERIES_TASK, **_TASK_OPTIONS)
def deliver_webhooks(mount: str) -> None:
    """Publish what has happened, and deliver the webhooks that are due."""
    found = _find_mount(mount)
    publish_all(found.storage)
    if make_worker_for_kind(found, kinds.DELIVERIES).drain(MAX_TASK_SECONDS):
        _send_task(DELIVERIES_TASK, mount)


@shared_task(name=BULK_TASK, **_TASK_OPTIONS)
def run_bulk_jobs(mount: str) -> None:
    """Do rows of bulk jobs."""
    if make_worker_for_kind(_find_mount(mount), kinds.BULK).drain(MAX_TASK_SECONDS):
        _send_task(BULK_TASK, mount)


@shared_task(name=SWEEP_TASK, **_TASK_OPTIONS)
def sweep(mount: str) -> None:
    """Publish what has happened; send what is due and of which no worker may know."""
    found = _find_mount(mount)
    publish_all(found.storage)
    lookout = DueCheck(found.storage)
    for kind, task in TASK_OF_KIND.items():
        if lookout.is_kind_due(kind):
            _send_task(task, mount)
    overdue = found.storage.read(partial(claims.find_overdue_steps, limit=MAX_STEPS_PER_SWEEP, age=OVERDUE_SECONDS))
    if overdue:
        logger.info("%d steps are due again, or were never sent for", len(overdue), extra={"due": len(overdue)})
        found.engine.wake(overdue)


@shared_task(name=MAINTENANCE_TASK, **_TASK_OPTIONS)
def run_maintenance(mount: str) -> None:
    """Remove what is past its time."""
    Maintenance(_find_mount(mount)).do()


def _send_task(task: str, mount: str) -> None:
    current_app.extensions["celery"].tasks[task].apply_async((mount,))


def _find_mount(name: str) -> Mount:
    """The mount of this name. Raises `RuntimeError` that says what to do where there is none here."""
    if not has_app_context():
        raise RuntimeError(
            "The tasks of flask-tenant-provisioning need the Flask app: "
            "give your Celery app the `task_cls` of Flask's documentation, which enters its application context."
        )
    mounts: dict[str, Mount] = current_app.extensions.get("tenant_provisioning", {})
    if name not in mounts:
        raise RuntimeError(f"This Flask app has no mount named {name!r}; it has {', '.join(mounts) or 'none'}.")
    return mounts[name]
