"""Blinker signals: what the host hears of what has been committed, and of nothing else."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from flask import current_app

from flask_tenant_provisioning import signals
from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.database.session import Session
from flask_tenant_provisioning.events.actions import build_event, record_event
from tests.support.callers import tenant_path
from tests.support.database.rows import get_storage
from tests.support.events import read_feed
from tests.support.workers.step_hosts import StepHost


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url)
    yield host
    host.close()


class Heard(list[dict[str, Any]]):
    """Every event that a host hears of."""

    def __init__(self, host: StepHost) -> None:
        super().__init__()
        for name in ("created", "provisioned", "updated", "suspended", "deleted", "restored", "purged"):
            getattr(signals, f"tenant_{name}").connect(self.hear, host.app)

    def hear(self, app: Any, event: dict[str, Any], **extra: Any) -> None:
        assert current_app == app
        self.append(event)


def test_a_signal_carries_the_event_of_the_feed(host: StepHost) -> None:
    heard, partner = Heard(host), host.open()
    tenant = partner.create()
    partner("PATCH", tenant_path(tenant), json={"plan": "gold"})
    partner("POST", tenant_path(tenant) + "/suspend", json={})
    partner("DELETE", tenant_path(tenant))
    partner("POST", tenant_path(tenant) + "/restore")
    partner.with_roles("provisioning-admin")("DELETE", tenant_path(tenant) + "?purge=true")
    assert heard == read_feed(partner)
    assert [event["type"].removeprefix("tenant.") for event in heard] == [
        "created", "updated", "suspended", "deleted", "restored", "purged",
    ]  # fmt: skip


def test_the_worker_sends_them_too(host: StepHost) -> None:
    host.step("bucket")
    heard, partner = Heard(host), host.open()
    partner.create()
    host.work()
    assert [event["type"] for event in heard] == ["tenant.created", "tenant.provisioned"]


def test_uncommitted_event_sends_no_signal(host: StepHost) -> None:
    @host.provisioning.hook("tenant.update")
    def refuse(tenant: dict[str, Any]) -> None:
        raise PermissionError("no")

    host.provisioning.map_error(PermissionError, status=409, code="not-now")
    heard, partner = Heard(host), host.open()
    body = {"client_name": "Example", "email": "a@example.com"}
    assert partner("POST", "/tenants?validate_only=true", json=body).status_code == 201
    assert heard == []
    tenant = partner.create(email="a@example.com")
    assert partner("POST", "/tenants", json=body, headers={"Idempotency-Key": "k"}).status_code == 409
    for headers in ({}, {"Idempotency-Key": "refused"}):
        assert partner("PATCH", tenant_path(tenant), json={"plan": "gold"}, headers=headers).status_code == 409
    assert [event["type"] for event in heard] == ["tenant.created"]


def test_event_rolled_back_to_a_savepoint_sends_no_signal(host: StepHost) -> None:
    """The rows are gone and the transaction commits: only what stays is told."""
    heard, partner = Heard(host), host.open()
    storage = get_storage(host.app)
    actor = Actor(Principal("someone", partner.partner))

    def write(session: Session, name: str) -> None:
        document = {"tenant": storage.new_id(), "client_name": name}
        record_event(
            session,
            build_event(storage, actor, "tenant.created", partner.partner, document, format_instant(storage.clock())),
        )

    def unit(session: Session) -> None:
        write(session, "first")
        with contextlib.suppress(ZeroDivisionError), session.savepoint():
            write(session, "undone")
            session.notify_worker(("bulk jobs", partner.partner, "undone"))
            raise ZeroDivisionError
        assert session.due_work == []
        write(session, "last")

    storage.transaction(unit)
    assert [event["data"]["client_name"] for event in heard] == ["first", "last"]
    assert [event["data"]["client_name"] for event in read_feed(partner)] == ["first", "last"]


def test_replay_sends_no_signal(host: StepHost) -> None:
    heard, partner = Heard(host), host.open()
    body = {"client_name": "Example", "email": "a@example.com"}
    for _ in range(2):
        assert partner("POST", "/tenants", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    assert len(heard) == 1


def test_a_receiver_that_fails_is_logged_and_changes_nothing(host: StepHost, caplog: pytest.LogCaptureFixture) -> None:
    def fail(app: Any, **extra: Any) -> None:
        raise RuntimeError("the host's own trouble")

    signals.tenant_created.connect(fail, host.app)
    heard, partner = Heard(host), host.open()
    with caplog.at_level(logging.ERROR, "flask_tenant_provisioning"):
        tenant = partner.create()
    assert [event["tenant"] for event in heard] == [tenant["tenant"]]
    (entry,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert (entry.name, entry.getMessage()) == (
        "flask_tenant_provisioning.signals",
        "a receiver of tenant.created failed",
    )


def test_another_app_gets_no_signal(host: StepHost) -> None:
    heard = Heard(StepHost("sqlite://"))
    host.open().create()
    assert heard == []
