"""Check of workers: whether work that is due is done, and whether Celery delivers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...config import ConfigurationError
from ...database import migration
from ...health import LATE_SECONDS, read_backlog
from ...registry import DEPROVISIONING, PROVISIONING
from .context import FAIL, OK, WARN, DoctorContext, Finding
from .database import UPGRADE_ADVICE

if TYPE_CHECKING:
    from celery import Celery


def check_worker(context: DoctorContext) -> Finding:
    """Work that is due, of whatever kind, is done soon."""
    mount = context.mount
    if not context.is_served:
        return Finding(OK, "nothing is mounted, and nothing to be done")
    context.connect().close()
    if migration.get_current_revision(mount.storage.engine, mount.config.table_prefix) is None:
        return Finding(FAIL, "there are no tables", UPGRADE_ADVICE)
    steps = sum(len(mount.hooks.list_steps(phase)) for phase in (PROVISIONING, DEPROVISIONING))
    waiting = read_backlog(mount.storage)
    lag = max(lag for _, lag in waiting.values())
    detail = f"{mount.config.engine}, {steps} steps, {sum(due for due, _ in waiting.values())} due"
    brought = _check_delivery(context)
    if brought.detail:
        detail = f"{detail}; {brought.detail}"
    if brought.status != OK or lag <= LATE_SECONDS:
        return brought._replace(detail=detail)
    late = ", ".join(f"{name} {due}" for name, (due, seconds) in waiting.items() if seconds > LATE_SECONDS)
    advice = "run `flask provisioning worker`" if mount.config.engine == "external" else "look into the log for why"
    return Finding(WARN, f"{detail}, the first for {round(lag, 1):.0f} s (late: {late})", advice)


def _check_delivery(context: DoctorContext) -> Finding:
    """Whether what is due is brought to somebody, where messages have to."""
    if context.mount.config.engine != "celery":
        return Finding(OK, "")
    return check_celery(context)


def check_celery(context: DoctorContext) -> Finding:
    """There is a Celery app, its broker takes messages, workers answer, and the beat sweeps."""
    from ...workers.celery import BROKER_TIMEOUT, get_celery_app, make_broker_connection

    try:
        celery = get_celery_app(context.mount)
    except ConfigurationError as error:
        return Finding(FAIL, "the host has no Celery app", str(error))
    with make_broker_connection(celery) as broker:
        where = broker.as_uri()
        try:
            broker.ensure_connection(max_retries=1, interval_start=0)
        except Exception as error:
            return Finding(FAIL, f"{where} takes no messages: {context.reason(error)}", "start the broker")
        answers = celery.control.ping(timeout=BROKER_TIMEOUT / 2, connection=broker) or []
    detail = f"{where}, {len(answers)} Celery workers answer"
    if not _has_sweep(celery, context.mount.name):
        return Finding(WARN, f"{detail}, and nothing sweeps", "put beat_schedule() into Celery's `beat_schedule`")
    return Finding(OK if answers else WARN, detail, "" if answers else "start one: `celery -A … worker`")


def _has_sweep(celery: Celery, mount: str) -> bool:
    """Whether the beat has a sweep of this mount in its schedule."""
    from ...workers.tasks import SWEEP_TASK

    entries = celery.conf.beat_schedule.values()
    return any(entry.get("task") == SWEEP_TASK and mount in entry.get("args", ()) for entry in entries)
