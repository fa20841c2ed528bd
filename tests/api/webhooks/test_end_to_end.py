"""Webhooks from end to end: created over HTTP, delivered by the host's worker, verified by the partner's server."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.webhooks import verify
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.hosts import get_mount
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, Receiver, open_receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with open_receiver() as events:
        yield events


@pytest.fixture
def partner(make_app: Callable[..., Flask]) -> Caller:
    return Caller(make_app(**LOCAL_WEBHOOKS))


def create_endpoint(partner: Caller, receiver: Receiver, **fields: Any) -> dict[str, Any]:
    """An endpoint at the receiver, with its secret."""
    response = partner("POST", "/webhooks", json={"url": receiver.url, **fields})
    assert response.status_code == 201, response.text
    document: dict[str, Any] = response.get_json()
    return document


def work(partner: Caller) -> None:
    """Do everything that is due."""
    make_worker(get_mount(partner.app)).drain()


@pytest.mark.parametrize("signing", ["v1", "v1a"])
def test_a_webhook_is_the_event_of_the_feed_and_verifies(partner: Caller, receiver: Receiver, signing: str) -> None:
    endpoint = create_endpoint(partner, receiver, signing=signing)
    tenant = partner.create()
    partner("PATCH", tenant_path(tenant), json={"plan": "gold"})
    work(partner)
    secret = endpoint["secret"] or endpoint["public_key"]
    taken = [verify(body, headers, secret) for headers, body in receiver.requests]
    assert taken == read_feed(partner, tenant=tenant["tenant"])
    assert [headers["webhook-id"] for headers, _ in receiver.requests] == [event["id"] for event in taken]


def test_events_before_the_endpoint_are_not_delivered(partner: Caller, receiver: Receiver) -> None:
    partner.create()
    work(partner)
    create_endpoint(partner, receiver)
    tenant = partner.create()
    work(partner)
    assert [json.loads(body)["tenant"] for _, body in receiver.requests] == [tenant["tenant"]]


def test_both_secrets_sign_while_one_is_rotated(partner: Caller, receiver: Receiver) -> None:
    old = create_endpoint(partner, receiver)
    new = partner("POST", f"/webhooks/{old['webhook']}/rotate-secret").get_json()
    partner.create()
    work(partner)
    ((headers, body),) = receiver.requests
    assert verify(body, headers, old["secret"]) == verify(body, headers, new["secret"])


def test_a_test_event_and_its_attempt_are_shown(partner: Caller, receiver: Receiver) -> None:
    endpoint = create_endpoint(partner, receiver, events=["tenant.deleted"])
    sent = partner("POST", f"/webhooks/{endpoint['webhook']}/test")
    assert sent.status_code == 202, sent.text
    work(partner)
    ((headers, body),) = receiver.requests
    assert verify(body, headers, endpoint["secret"])["type"] == "webhook.test"
    shown = partner("GET", f"/deliveries/{sent.get_json()['delivery']}").get_json()
    assert (shown["state"], shown["attempts"], [attempt["status"] for attempt in shown["history"]]) == (
        "succeeded",
        1,
        [204],
    )


def test_a_redelivery_keeps_its_id_and_schedules_nothing(partner: Caller, receiver: Receiver) -> None:
    endpoint = create_endpoint(partner, receiver)
    partner.create()
    work(partner)
    (delivery,) = partner("GET", f"/webhooks/{endpoint['webhook']}/deliveries").get_json()["items"]
    receiver.status = 500
    assert partner("POST", f"/deliveries/{delivery['delivery']}/redeliver").status_code == 202
    work(partner)
    assert [headers["webhook-id"] for headers, _ in receiver.requests] == [delivery["event"]] * 2
    assert [(row["state"], row["due_at"]) for row in fetch_rows(partner.app, "deliveries")] == [("failed", None)]


def test_recovery_sends_missed_events(partner: Caller, receiver: Receiver) -> None:
    endpoint = create_endpoint(partner, receiver, enabled=False)
    tenants = [partner.create()["tenant"] for _ in range(3)]
    work(partner)
    assert receiver.requests == []
    partner("PATCH", f"/webhooks/{endpoint['webhook']}", json={"enabled": True})
    response = partner("POST", f"/webhooks/{endpoint['webhook']}/recover", json={"since": endpoint["created_at"]})
    assert response.status_code == 202, response.text
    work(partner)
    assert sorted(json.loads(body)["tenant"] for _, body in receiver.requests) == sorted(tenants)


def test_no_secret_is_in_the_database_or_the_log(
    partner: Caller, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint = create_endpoint(partner, receiver)
    partner.create()
    work(partner)
    secret = endpoint["secret"].removeprefix("whsec_")
    tables = ("webhooks", "deliveries", "attempts", "events", "idempotency")
    assert secret not in repr([fetch_rows(partner.app, table) for table in tables])
    assert secret not in caplog.text
    assert partner.token not in caplog.text


def test_the_guard_is_asked_at_every_send(make_app: Callable[..., Flask], receiver: Receiver) -> None:
    wide = Caller(make_app(**LOCAL_WEBHOOKS))
    create_endpoint(wide, receiver)
    wide.create()
    strict = make_app(**{**LOCAL_WEBHOOKS, "PROVISIONING_WEBHOOK_ALLOWED_NETWORKS": []})
    make_worker(get_mount(strict)).drain()
    assert receiver.requests == []
    (attempt,) = fetch_rows(strict, "attempts")
    assert (attempt["status"], attempt["error"] is None) == (None, False)


@pytest.mark.slow
def test_a_worker_process_delivers_and_ends_with_grace(
    make_app: Callable[..., Flask], database_url: str, receiver: Receiver, tmp_path: Path
) -> None:
    partner = Caller(make_app(**LOCAL_WEBHOOKS))
    endpoint = create_endpoint(partner, receiver)
    (tmp_path / "host.py").write_text(
        f"import tests.support.hosts\napp = tests.support.hosts.make_host({database_url!r}, **{LOCAL_WEBHOOKS!r})\n"
    )
    command = [sys.executable, "-m", "flask", "--app", str(tmp_path / "host.py"), "provisioning", "worker"]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    process = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE)
    try:
        for _ in range(5):
            partner.create()
        assert receiver.wait_for(5, 20)
        process.send_signal(signal.SIGTERM)
        _, output = process.communicate(timeout=20)
        assert (process.returncode, b"Traceback" in output) == (0, False)
    finally:
        process.kill()
    for headers, body in receiver.requests:
        verify(body, headers, endpoint["secret"])
    assert {row["state"] for row in fetch_rows(partner.app, "deliveries")} == {"succeeded"}


def test_the_embedded_worker_is_prompt(make_app: Callable[..., Flask], receiver: Receiver) -> None:
    partner = Caller(make_app(**LOCAL_WEBHOOKS, PROVISIONING_ENGINE="embedded", PROVISIONING_WORKER_POLL_SECONDS=60))
    create_endpoint(partner, receiver)
    began = time.monotonic()
    partner.create()
    assert receiver.wait_for(1, 60)
    assert time.monotonic() - began < 30, "woken, not found at the next poll"
    engine = get_mount(partner.app).engine
    assert engine is not None
    engine.stop(10)
