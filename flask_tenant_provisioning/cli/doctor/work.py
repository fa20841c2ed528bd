"""Check of workers: due work is done soon, and Celery delivers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...config import ConfigurationError
from ...database import migration
from ...health.backlog import LATE_SECONDS, read_backlog
from ...registry import DEPROVISIONING, PROVISIONING
from .context import FAIL, OK, WARN, DoctorContext, Finding
from .database import UPGRADE_ADVICE

if TYPE_CHECKING:
    from celery import Celery


def check_worker(context: DoctorContext) -> Finding:
    """Check that due work of every kind is done soon."""
    mount = context.mount
    if not context.is_served:
        return Finding(OK, "nothing is mounted, so nothing is done")
    context.connect().close()
    if migration.get_current_revision(mount.storage.engine, mount.config.table_prefix) is None:
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    steps = sum(len(mount.registry.list_steps(phase)) for phase in (PROVISIONING, DEPROVISIONING))
    backlog = read_backlog(mount.storage)
    lag = max(lag for _, lag in backlog.values())
    detail = f"{mount.config.engine}, {steps} steps, {sum(due for due, _ in backlog.values())} due"
    delivery = check_celery(context) if mount.config.engine == "celery" else Finding(OK, "")
    if delivery.detail:
        detail = f"{detail}; {delivery.detail}"
    if delivery.status != OK or lag <= LATE_SECONDS:
        return delivery._replace(detail=detail)
    late_kinds = ", ".join(f"{name} {due}" for name, (due, seconds) in backlog.items() if seconds > LATE_SECONDS)
    advice = "run `flask provisioning worker`" if mount.config.engine == "external" else "see the log for the reason"
    return Finding(WARN, f"{detail}, the first for {round(lag, 1):.0f} s (late: {late_kinds})", advice)


def check_celery(context: DoctorContext) -> Finding:
    """Check that there is a Celery app, its broker accepts messages, workers respond, and the beat runs the sweep."""
    from ...workers.celery import BROKER_TIMEOUT, get_celery_app, make_broker_connection

    try:
        celery = get_celery_app(context.mount)
    except ConfigurationError as error:
        return Finding(FAIL, "the host has no Celery app", str(error))
    with make_broker_connection(celery) as broker:
        uri = broker.as_uri()
        try:
            broker.ensure_connection(max_retries=1, interval_start=0)
        except Exception as error:
            return Finding(FAIL, f"{uri} accepts no messages: {context.describe_error(error)}", "start the broker")
        responses = celery.control.ping(timeout=BROKER_TIMEOUT / 2, connection=broker) or []
    detail = f"{uri}, {len(responses)} Celery workers respond"
    if not _has_sweep(celery, context.mount.name):
        return Finding(WARN, f"{detail}, and no sweep is scheduled", "add beat_schedule() to Celery's `beat_schedule`")
    return Finding(OK if responses else WARN, detail, "" if responses else "start one: `celery -A … worker`")


def _has_sweep(celery: Celery, mount: str) -> bool:
    """Return True if Celery's beat schedule has a sweep of this mount."""
    from ...workers.tasks import SWEEP_TASK

    entries = celery.conf.beat_schedule.values()
    return any(entry.get("task") == SWEEP_TASK and mount in entry.get("args", ()) for entry in entries)
