"""The tasks, which run in whatever Celery app the host has."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from celery import shared_task
from flask import current_app, has_app_context

from ..events.publishing import publish_all
from ..steps import claims
from ..web.mount import Mount
from . import kinds
from .choosing import errand_of, worker_for
from .chores import Chores
from .lookout import Lookout

logger = logging.getLogger(__name__)

WORK, DELIVER, BULK, SWEEP, CHORES = (
    f"flask_tenant_provisioning.{name}" for name in ("work", "deliver", "bulk", "sweep", "chores")
)
#: The kinds of work of which one message is sent for all that is due; steps are sent for by their keys.
SHARED = {kinds.DELIVERIES: DELIVER, kinds.BULK: BULK}
#: How long a message may be on its way before the sweep sends another, in seconds.
AGE = 10.0
#: How many steps one sweep sends, at most; there is another soon.
SWEPT = 1000
#: For how many seconds one message has webhooks delivered or rows done, before other messages get their turn.
SHIFT = 20.0
_SAFELY: dict[str, Any] = {"acks_late": True, "reject_on_worker_lost": True, "ignore_result": True}


@shared_task(name=WORK, **_SAFELY)
def work(mount: str, keys: Sequence[Sequence[str]]) -> None:
    """Do those of these steps that are due: each by partner, tenant, phase and name."""
    errand_of(_mount(mount), [(partner, tenant, phase, name) for partner, tenant, phase, name in keys]).drain()


@shared_task(name=DELIVER, **_SAFELY)
def deliver(mount: str) -> None:
    """Publish what has happened, and deliver the webhooks that are due."""
    found = _mount(mount)
    publish_all(found.storage)
    if worker_for(found, kinds.DELIVERIES).drain(SHIFT):
        _send(DELIVER, mount)


@shared_task(name=BULK, **_SAFELY)
def bulk(mount: str) -> None:
    """Do rows of bulk jobs."""
    if worker_for(_mount(mount), kinds.BULK).drain(SHIFT):
        _send(BULK, mount)


@shared_task(name=SWEEP, **_SAFELY)
def sweep(mount: str) -> None:
    """Publish what has happened; send what is due and of which no worker may know."""
    found = _mount(mount)
    publish_all(found.storage)
    lookout = Lookout(found.storage)
    for kind, task in SHARED.items():
        if lookout.finds(kind):
            _send(task, mount)
    overdue = found.storage.read(partial(claims.overdue, limit=SWEPT, age=AGE))
    if overdue:
        logger.info("%d steps are due again, or were never sent for", len(overdue), extra={"due": len(overdue)})
        found.engine.wake(overdue)


@shared_task(name=CHORES, **_SAFELY)
def chores(mount: str) -> None:
    """Remove what is past its time."""
    Chores(_mount(mount)).do()


def _send(task: str, mount: str) -> None:
    current_app.extensions["celery"].tasks[task].apply_async((mount,))


def _mount(name: str) -> Mount:
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
