"""Measure the steps a second that Celery does, with one to a message and with a batch to each.

    python -m tests.bench.messages --db postgresql://localhost/bench --tenants 2000

Each tenant has one step that does nothing. There are two Celery workers of one process each; beside them is measured
what a worker without a broker does in one process. The database is left with what was made.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from flask import Flask
from sqlalchemy import text

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.health.backlog import read_lag
from flask_tenant_provisioning.mount import Mount
from flask_tenant_provisioning.steps import claims
from flask_tenant_provisioning.steps.claims import StepKey
from flask_tenant_provisioning.steps.models import STEP_WORK
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.callers import Caller
from tests.support.hosts import get_engine, make_config
from tests.support.storms.server import environment
from tests.support.storms.workers import Workers
from tests.support.waiting import wait_for
from tests.support.workers import brokers
from tests.support.workers.celery_hosts import celery_init_app
from tests.support.workers.step_hosts import read_tenant_status

WORKERS = 2


def create_app(**config: Any) -> Flask:
    """A host with a step that does nothing."""
    app = Flask("bench")
    app.config.from_prefixed_env()
    app.config.update(config)
    provisioning = TenantProvisioning()
    provisioning.step("nothing")(lambda: None)
    provisioning.init_app(app)
    if "CELERY" in app.config:
        celery_init_app(app)
    return app


def __getattr__(name: str) -> Celery:
    """The Celery app, made when ``celery -A`` asks for it."""
    if name != "celery":
        raise AttributeError(name)
    celery: Celery = create_app().extensions["celery"]
    return celery


@contextmanager
def run_worker(config: dict[str, Any]) -> Iterator[None]:
    """Let Celery workers work until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(**config))
        workers = Workers(WORKERS, Path(folder) / "log", "tests.bench.messages")
        try:
            yield
        finally:
            workers.stop()


def create_tenants(app: Flask, tenants: int) -> float:
    """Create so many tenants; returns the processor's time that a request takes in this process, in milliseconds."""
    partner, taken = Caller(app), []
    for _ in range(tenants):
        began = time.process_time()
        partner.create()
        taken.append(time.process_time() - began)
    return statistics.median(taken) * 1000


def rate(app: Flask, tenants: int, begin: Callable[[Mount, list[StepKey]], object]) -> float:
    """Return the number of steps done a second, from the beginning to the last one."""
    mount: Mount = app.extensions["tenant_provisioning"]["provisioning"]
    keys = mount.storage.read(lambda session: claims.find_overdue_steps(session, tenants, 0))
    assert len(keys) == tenants
    began = time.perf_counter()
    begin(mount, keys)
    while mount.storage.read(read_lag)["steps"].due or _at_work(app):
        time.sleep(0.01)
    return tenants / (time.perf_counter() - began)


def _at_work(app: Flask) -> bool:
    with get_engine(app).connect() as connection:
        return bool(connection.scalar(text("SELECT 1 FROM provisioning_steps WHERE due_at IS NOT NULL LIMIT 1")))


def send_one_by_one(mount: Mount, keys: list[StepKey]) -> None:
    """Send a message for each step."""
    for key in keys:
        mount.storage.wake_workers([(STEP_WORK, *key)])


def all_at_once(mount: Mount, keys: list[StepKey]) -> None:
    """Send all steps, in messages of several."""
    mount.storage.wake_workers([(STEP_WORK, *key) for key in keys])


def through(kind: str, db: str, tenants: int) -> str:
    """Measure one broker and print its figures."""
    with brokers.open_broker(kind) as part:
        config = {"PROVISIONING_DATABASE_URL": db, "PROVISIONING_ENGINE": "celery", "CELERY": part.settings()}
        app = create_app(**make_config(**config))
        quiet = create_app(**make_config(**{**config, "PROVISIONING_ENGINE": "external"}))
        sending = create_tenants(app, tenants)
        brokers.discard_messages(part)
        with run_worker(config):
            partner = Caller(app)
            first = partner.create()
            assert wait_for(lambda: read_tenant_status(partner, first) == "active", 60)
            single = rate(app, tenants, send_one_by_one)
            silent = create_tenants(quiet, tenants)
            batched = rate(app, tenants, all_at_once)
        return f"{kind:10} {single:10.0f} {batched:10.0f} {silent:12.2f} {sending:10.2f}"


def main() -> None:
    """Print a line for each broker, and one for a worker that needs none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--tenants", type=int, default=2000)
    arguments: Any = parser.parse_args()
    print("steps/s     one each  20 to each | ms CPU a request: unsent, with a message")
    for kind in brokers.KINDS:
        print(through(kind, arguments.db, arguments.tenants) if not brokers.find_fault(kind) else f"{kind}: not found")
    quiet = create_app(**make_config(PROVISIONING_DATABASE_URL=arguments.db))
    create_tenants(quiet, arguments.tenants)
    print(f"no broker  {rate(quiet, arguments.tenants, lambda mount, _keys: make_worker(mount).drain()):21.0f}")


if __name__ == "__main__":
    main()
