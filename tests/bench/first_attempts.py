"""Measure the delay of a webhook's first attempt after a write with Celery, and its cost to the write.

    python -m tests.bench.first_attempts --db postgresql://localhost/bench --writes 60 --kind redis

The beat sweeps every 5 seconds; one Celery worker process. Each write comes within a second after the one before has
arrived, so soon after a sweep. `sweep` is with nothing but the sweep, `told` is as it is. The database is left
with what was made.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from celery import Celery
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.engine.celery import beat_schedule
from flask_tenant_provisioning.workers.celery import Notifier
from tests.support.callers import Caller
from tests.support.hosts import make_config
from tests.support.storms.server import environment
from tests.support.storms.workers import Workers
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver
from tests.support.workers import brokers
from tests.support.workers.celery_hosts import celery_init_app


def create_app(**config: Any) -> Flask:
    """A host without steps."""
    app = Flask("bench")
    app.config.from_prefixed_env()
    app.config.update(config)
    TenantProvisioning().init_app(app)
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
    """Let a Celery worker and a beat work until the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(environment(**config))
        workers = Workers(1, Path(folder) / "log", "tests.bench.first_attempts")
        try:
            yield
        finally:
            workers.stop()


def delays(partner: Caller, receiver: Receiver, writes: int) -> list[float]:
    """Return the milliseconds from the response to the arrival, for each of so many writes."""
    seconds = []
    for _ in range(writes):
        time.sleep(random.uniform(0, 1))
        before = len(receiver.requests)
        partner.create()
        answered = time.perf_counter()
        assert receiver.wait_for(before + 1, 60)
        seconds.append((time.perf_counter() - answered) * 1000)
    return seconds


def cost(partner: Caller, writes: int) -> float:
    """The processor's time of this process for a write, in milliseconds, over so many without a pause."""
    began = time.process_time()
    for _ in range(writes):
        partner.create()
    return (time.process_time() - began) / writes * 1000


def spread(seconds: list[float]) -> str:
    """The median and the slowest in twenty."""
    return f"median {statistics.median(seconds):6.0f} ms, 95 % {statistics.quantiles(seconds, n=20)[-1]:6.0f} ms"


def _say_nothing(self: Notifier) -> None:
    pass


def main() -> None:
    """Print a line for each way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--kind", choices=brokers.KINDS, default="redis")
    parser.add_argument("--writes", type=int, default=60)
    arguments: Any = parser.parse_args()
    with brokers.open_broker(arguments.kind) as part, open_receiver() as receiver:
        celery = {**part.settings(), "beat_schedule": beat_schedule()}
        config = {
            **LOCAL_WEBHOOKS,
            "PROVISIONING_DATABASE_URL": arguments.db,
            "PROVISIONING_ENGINE": "celery",
            "PROVISIONING_ENCRYPTION_KEYS": ["a key of the bench, long enough"],
            "CELERY": celery,
        }
        app = create_app(**make_config(**config))
        partner, ways = Caller(app), {"sweep": _say_nothing, "told": Notifier.notify_events}
        assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
        with run_worker(config):
            partner.create()
            assert receiver.wait_for(1, 60)
            for name, happened in ways.items():
                Notifier.notify_events = happened  # type: ignore[method-assign]
                print(f"{name:6} {spread(delays(partner, receiver, arguments.writes))}")
        for name, happened in [*ways.items()] * 3:
            Notifier.notify_events = happened  # type: ignore[method-assign]
            print(f"{name:6} {cost(partner, 2000):.3f} ms CPU a write")


if __name__ == "__main__":
    main()
