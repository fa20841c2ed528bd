"""Whether Celery brings work to anybody."""

from __future__ import annotations

from celery import Celery

from ...config import ConfigurationError
from ...engine.celery import PATIENCE, celery_of, connection
from ...engine.tasks import SWEEP
from .findings import FAIL, OK, WARN, Finding, Patient


def arrive(patient: Patient) -> Finding:
    """There is a Celery app, its broker takes messages, workers answer, and the beat sweeps."""
    try:
        celery = celery_of(patient.mount)
    except ConfigurationError as error:
        return Finding(FAIL, "the host has no Celery app", str(error))
    with connection(celery) as broker:
        where = broker.as_uri()
        try:
            broker.ensure_connection(max_retries=1, interval_start=0)
        except Exception as error:
            return Finding(FAIL, f"{where} takes no messages: {patient.reason(error)}", "start the broker")
        answers = celery.control.ping(timeout=PATIENCE / 2, connection=broker) or []
    detail = f"{where}, {len(answers)} Celery workers answer"
    if not _sweeps(celery, patient.mount.name):
        return Finding(WARN, f"{detail}, and nothing sweeps", "put beat_schedule() into Celery's `beat_schedule`")
    return Finding(OK if answers else WARN, detail, "" if answers else "start one: `celery -A … worker`")


def _sweeps(celery: Celery, mount: str) -> bool:
    """Whether the beat has a sweep of this mount in its schedule."""
    entries = celery.conf.beat_schedule.values()
    return any(entry.get("task") == SWEEP and mount in entry.get("args", ()) for entry in entries)
