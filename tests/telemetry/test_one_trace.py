"""One trace through four processes' work: a partner's request, a step in a Celery worker, a webhook, its receiver."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX
from tests.support.telemetry import TRACED, Spans, get_id, get_parent_id, get_trace_id
from tests.support.waiting import wait_for
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver
from tests.support.workers import brokers
from tests.support.workers.celery_hosts import CeleryHost
from tests.support.workers.traced_celery import declare_steps

PARTNERS_TRACE, PARTNERS_SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


class SpanRecord(NamedTuple):
    """A span that the worker has written."""

    process: int
    name: str
    trace_id: int
    id: int
    parent_id: int | None


@pytest.fixture
def host(database: str, database_url: str) -> Iterator[CeleryHost]:
    with brokers.open_broker("redis" if database == "sqlite" else "rabbitmq") as broker:
        host = CeleryHost(database_url, broker, **TRACED, **LOCAL_WEBHOOKS)
        declare_steps(host.provisioning)
        yield host
        host.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


@pytest.fixture
def worker_spans(tmp_path: Path) -> Path:
    return tmp_path / "spans"


def start_worker(host: CeleryHost, database_url: str, spans: Path) -> subprocess.Popen[bytes]:
    """Start a Celery worker of the host in a process of its own."""
    config = {name: value for name, value in host.app.config.items() if name.startswith(("PROVISIONING_", "JWT_"))}
    config |= {"SECRET_KEY": host.app.config["SECRET_KEY"], "CELERY": host.app.config["CELERY"]}
    config = {name: value for name, value in config.items() if is_json(value)}
    environment = {
        **os.environ,
        "TRACED_HOST": json.dumps({"config": config, "url": database_url, "spans": str(spans)}),
    }
    command = [sys.executable, "-m", "celery", "-A", "tests.support.workers.traced_celery", "worker", "-P", "threads"]
    with spans.with_suffix(".log").open("wb") as log:
        return subprocess.Popen([*command, "-c", "2"], env=environment, stdout=log, stderr=log)


def is_json(value: object) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def read_worker_spans(file: Path) -> list[SpanRecord]:
    return [SpanRecord(*json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def record_receiver_span(headers: dict[str, str]) -> None:
    """Start and end the receiver's span, as an instrumented server does: from the request's headers."""
    carrier = {name.lower(): value for name, value in headers.items()}
    context = TraceContextTextMapPropagator().extract(carrier)
    with trace.get_tracer("receiver").start_as_current_span("POST /hook", context):
        pass


@pytest.mark.slow
def test_request_step_webhook_and_receiver_are_one_trace(
    host: CeleryHost, receiver: Receiver, database_url: str, worker_spans: Path
) -> None:
    spans = Spans()
    partner = host.open()
    endpoint: dict[str, Any] = {"url": receiver.url, "events": ["tenant.provisioned"]}
    assert partner("POST", "/webhooks", json=endpoint).status_code == 201
    worker = start_worker(host, database_url, worker_spans)
    try:
        traceparent = f"00-{PARTNERS_TRACE:032x}-{PARTNERS_SPAN:016x}-01"
        body = {"client_name": "A", "email": "a@example.com"}
        created = partner("POST", "/tenants", json=body, headers={"traceparent": traceparent})
        assert created.get_json()["status"] == "provisioning"
        assert wait_for(lambda: [row["state"] for row in fetch_rows(host.app, "steps")] == ["succeeded"], 60), (
            worker_spans.with_suffix(".log").read_text()
        )
        host.mount.engine.notify_events([{}])  # type: ignore[union-attr]
        log = worker_spans.with_suffix(".log")
        assert receiver.wait_for(1, 60), log.read_text()
        assert wait_for(lambda: "webhook" in [span.name for span in read_worker_spans(worker_spans)])
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    record_receiver_span(receiver.requests[0][0])

    request = spans.one(f"POST {PREFIX}/tenants")
    commit = next(span for span in spans.all() if get_parent_id(span) == get_id(request))
    by_name = {span.name: span for span in read_worker_spans(worker_spans) if span.trace_id == PARTNERS_TRACE}
    step, delivery = by_name["step bucket"], by_name["webhook"]
    outcome = next(span for span in read_worker_spans(worker_spans) if span.id == delivery.parent_id)
    received = spans.one("POST /hook")
    assert (get_trace_id(request), get_parent_id(request)) == (PARTNERS_TRACE, PARTNERS_SPAN)
    assert commit.name == "transaction"
    assert step.process == delivery.process == worker.pid != os.getpid()
    assert step.parent_id == get_id(commit)
    assert (outcome.name, outcome.parent_id) == ("transaction", step.id)
    assert (get_trace_id(received), get_parent_id(received)) == (PARTNERS_TRACE, delivery.id)
