"""Hosts whose steps run in their own Celery app, made as Flask's documentation makes it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from celery import Celery, Task, signals
from celery.contrib.testing.worker import TestWorkController, start_worker
from celery.worker import state
from flask import Flask

from flask_tenant_provisioning.mount import Mount
from tests.support.callers import Caller
from tests.support.workers.brokers import Broker
from tests.support.workers.step_hosts import StepHost

#: How many seconds a worker may take to begin, and to end.
PATIENCE = 60


def celery_init_app(app: Flask) -> Celery:
    """Return the Celery app of a Flask app, like Flask's documentation, "Background Tasks with Celery"."""

    class FlaskTask(Task):  # type: ignore[type-arg]
        def __call__(self, *args: object, **kwargs: object) -> object:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(app.config["CELERY"])
    celery_app.set_default()
    app.extensions["celery"] = celery_app
    return celery_app


class _ResponsiveWorker(TestWorkController):
    """A worker that looks up often, so that it notices at once when it is to stop."""

    def on_consumer_ready(self, consumer: Any) -> None:
        # Before Celery 5.6 the second worker of a process runs in the loop of the first one, with that one's timer.
        (consumer.hub or consumer).timer.call_repeatedly(0.1, lambda: None)
        super().on_consumer_ready(consumer)

    def ensure_started(self) -> None:
        if not self._on_started.wait(PATIENCE):  # type: ignore[attr-defined]
            raise RuntimeError(f"the Celery worker has not started within {PATIENCE} seconds")


def _leave_logging_alone(**_options: Any) -> None:
    """Connected to `setup_logging`, it keeps Celery from changing the loggers of other tests."""


class CeleryHost(StepHost):
    """A host with steps of its own, and with Celery on this part of a broker."""

    def __init__(self, database_url: str, broker: Broker, **config: Any) -> None:
        super().__init__(database_url, **{"PROVISIONING_ENGINE": "celery", **config})
        self.broker = broker
        self.app.config["CELERY"] = {**broker.settings(), "task_ignore_result": True}

    def open(self, *roles: str) -> Caller:
        """Mount the API, make the Celery app, and return a partner."""
        partner = super().open(*roles)
        celery_init_app(self.app)
        return partner

    @property
    def celery(self) -> Celery:
        """The host's Celery app."""
        celery: Celery = self.app.extensions["celery"]
        return celery

    @property
    def mount(self) -> Mount:
        """The mount."""
        mount: Mount = self.app.extensions["tenant_provisioning"]["provisioning"]
        return mount

    @contextlib.contextmanager
    def run_worker(self) -> Iterator[None]:
        """Let a Celery worker work for this host until the block ends."""
        signals.setup_logging.connect(_leave_logging_alone)
        how: dict[str, Any] = {"pool": "threads", "concurrency": 4, "perform_ping_check": False}
        try:
            with start_worker(self.celery, WorkController=_ResponsiveWorker, shutdown_timeout=PATIENCE, **how):
                yield
        finally:
            state.should_terminate = None

    def send(self, task: str) -> None:
        """Send what the beat would."""
        self.celery.tasks[f"flask_tenant_provisioning.{task}"].apply_async(("provisioning",))

    def apply(self, task: str, *arguments: Any) -> None:
        """Run a task here and now."""
        self.celery.tasks[f"flask_tenant_provisioning.{task}"].apply(arguments).get()

    def send_pending(self) -> None:
        """Have everything told to the broker that has happened so far."""
        for mount in self.app.extensions["tenant_provisioning"].values():
            mount.engine.stop(10)

    def close(self) -> None:
        self.send_pending()
        super().close()
        if "celery" in self.app.extensions:
            self.celery.close()
