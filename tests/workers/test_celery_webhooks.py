"""Webhooks with Celery: workers are told of what is to be delivered, and need not wait for the next sweep."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.workers.celery import MESSAGE_EXPIRY, NOTIFY_DELAY, Notifier
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import fetch_rows
from tests.support.waiting import wait_for
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost

DELIVER = "flask_tenant_provisioning.deliver"
Make = Callable[..., CeleryHost]


@pytest.fixture
def broker(database: str) -> Iterator[Broker]:
    """A part of a broker, of this test's own: Redis beside SQLite, RabbitMQ beside PostgreSQL."""
    with brokers.open_broker("redis" if database == "sqlite" else "rabbitmq") as part:
        yield part


@pytest.fixture
def host(database_url: str, broker: Broker) -> Iterator[CeleryHost]:
    host = CeleryHost(database_url, broker, **LOCAL_WEBHOOKS)
    yield host
    host.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as opened:
        yield opened


def endpoint(partner: Caller, url: str, **fields: Any) -> str:
    """The path of a new endpoint."""
    created = partner("POST", "/webhooks", json={"url": url, **fields})
    assert created.status_code == 201, created.text
    return f"/webhooks/{created.get_json()['webhook']}"


def list_sent_tasks(host: CeleryHost, at_least: int = 0) -> list[str]:
    """The tasks that were sent, once all that has happened is told."""
    host.send_pending()
    return [headers["task"] for headers, _ in brokers.take_messages(host.broker, at_least)]


def states(host: CeleryHost) -> list[str]:
    return [row["state"] for row in fetch_rows(host.app, "deliveries")]


def test_a_write_is_delivered_without_a_sweep(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    endpoint(partner, receiver.url)
    with host.run_worker():
        partner.create()
        assert receiver.wait_for(1, 20)
        assert wait_for(lambda: states(host) == ["succeeded"])


def test_last_write_of_a_burst_is_announced(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    endpoint(partner, receiver.url)
    with host.run_worker():
        for _ in range(20):
            partner.create()
        assert receiver.wait_for(20, 20)


def test_burst_of_writes_sends_few_messages(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    endpoint(partner, receiver.url)
    start = time.monotonic()
    for _ in range(50):
        partner.create()
    most = 2 + (time.monotonic() - start) / NOTIFY_DELAY
    tasks = list_sent_tasks(host, 1)

    assert {*tasks} == {DELIVER}
    assert len(tasks) <= most


def test_a_message_names_no_one_and_does_not_pile_up(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    endpoint(partner, receiver.url)
    assert list_sent_tasks(host, 1) == [DELIVER]
    partner.create()
    host.send_pending()
    ((headers, body),) = brokers.take_messages(host.broker, 1)

    assert body[0] == ["provisioning"]
    assert (headers["argsrepr"], headers["eta"], headers["ignore_result"]) == ("('provisioning',)", None, True)
    assert headers["expires"] is not None
    assert MESSAGE_EXPIRY == 60


@pytest.mark.parametrize("enabled", [None, False])
def test_no_message_without_an_endpoint(host: CeleryHost, receiver: Receiver, enabled: bool | None) -> None:
    partner = host.open()
    if enabled is not None:
        endpoint(partner, receiver.url, enabled=enabled)
    tenant = partner.create()
    partner("DELETE", tenant_path(tenant))

    assert list_sent_tasks(host) == []


def test_rolled_back_writes_send_no_message(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    path = endpoint(partner, receiver.url)
    assert list_sent_tasks(host, 1) == [DELIVER]
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    assert partner("POST", "/tenants?validate_only=true", json=body).status_code == 201
    assert partner("PATCH", path, json={"enabled": True}).status_code == 200
    assert partner("POST", "/tenants", json={"client_name": "Example Corp"}).status_code == 400

    assert list_sent_tasks(host) == []


def test_a_test_a_redelivery_a_recovery_and_an_enabling_are_each_sent_for(host: CeleryHost, receiver: Receiver) -> None:
    partner = host.open()
    partner.create()
    host.apply("sweep", "provisioning")
    path = endpoint(partner, receiver.url)
    assert list_sent_tasks(host, 1) == [DELIVER]
    document = partner("POST", f"{path}/test").get_json()
    assert list_sent_tasks(host, 1) == [DELIVER]
    host.apply("deliver", "provisioning")
    assert wait_for(lambda: {*states(host)} == {"succeeded"})
    assert partner("POST", f"/deliveries/{document['delivery']}/redeliver").status_code == 202
    assert list_sent_tasks(host, 1) == [DELIVER]
    since = {"since": format_instant(host.clock() - 60)}
    assert partner("POST", f"{path}/recover", json=since).get_json()["deliveries"] == 1
    assert list_sent_tasks(host, 1) == [DELIVER]
    partner("PATCH", path, json={"enabled": False})
    assert list_sent_tasks(host) == []
    partner("PATCH", path, json={"enabled": True})
    assert list_sent_tasks(host, 2) == [
        DELIVER,
        DELIVER,
    ]  # for what waits for the endpoint, and for the event of the change
    host.apply("deliver", "provisioning")

    assert [body for _, body in receiver.requests].count(receiver.requests[0][1]) == 2
    assert len(receiver.requests) == 3


def test_ending_process_sends_its_last_notification(host: CeleryHost, receiver: Receiver, database_url: str) -> None:
    endpoint(host.open(), receiver.url)
    assert list_sent_tasks(host, 1) == [DELIVER]
    folder = Path(__file__).parents[2]
    # From Python 3.12 on a fork of a process with threads warns.
    quiet = ["-W", "ignore::DeprecationWarning"]
    command = [sys.executable, *quiet, "-c", ENDING, database_url, *host.broker]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder)

    assert (result.returncode, result.stderr) == (0, "")
    assert list_sent_tasks(host, 2) == [DELIVER, DELIVER]


ENDING = """
import os, sys, threading
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost

host = CeleryHost(sys.argv[1], Broker(*sys.argv[2:5]))
partner = host.open()
partner.create(email="parent@example.com")
assert [thread.name for thread in threading.enumerate()][1:] == ["flask_tenant_provisioning-notifier"]
if child := os.fork():
    sys.exit(os.waitpid(child, 0)[1])
partner.create(email="child@example.com")
"""


class Told:
    """A listener that blocks the notifier until released."""

    def __init__(self) -> None:
        self.calls = 0
        self.begun, self.release = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self) -> None:
        self.calls += 1
        self.begun.release()
        assert self.release.acquire(timeout=20)


def test_writes_during_an_announcement_are_announced() -> None:
    listener = Told()
    notifier = Notifier(listener, delay=0.01)
    notifier.notify_events()
    assert listener.begun.acquire(timeout=20)
    for _ in range(3):
        notifier.notify_events()
    listener.release.release()
    assert listener.begun.acquire(timeout=20)
    listener.release.release()
    notifier.stop(20)

    assert listener.calls == 2


def test_a_herald_that_stops_waits_for_nothing() -> None:
    listener = Told()
    notifier = Notifier(listener, delay=3600)
    listener.release.release(2)
    notifier.notify_events()
    assert listener.begun.acquire(timeout=20)
    notifier.notify_events()
    start = time.monotonic()
    notifier.stop(20)

    assert (listener.calls, time.monotonic() - start < 10) == (2, True)


def test_notifier_survives_exceptions(caplog: pytest.LogCaptureFixture) -> None:
    met = threading.Semaphore(0)

    def fail() -> None:
        met.release()
        raise RuntimeError("boom")

    notifier = Notifier(fail, delay=0.01)
    for _ in range(2):
        notifier.notify_events()
        assert met.acquire(timeout=20)
    notifier.stop(20)

    assert caplog.messages == ["could not request webhook deliveries; the next sweep does so: boom"] * 2


def test_before_anything_happens_there_is_no_thread() -> None:
    notifier = Notifier(lambda: None)
    before = threading.active_count()
    notifier.stop()

    assert threading.active_count() == before
    assert notifier._thread is None
