"""Probes for load balancers, and `GET /health`: whether the database answers and the workers keep up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.database.migration import get_head_revision
from flask_tenant_provisioning.database.revisions import REVISIONS
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.health.backlog import read_backlog
from flask_tenant_provisioning.workers.kinds import BULK, EVENTS, STEPS, WORK_KINDS, DueCheck
from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.assertions import assert_invalid_parameters, check_problem
from tests.support.callers import Caller
from tests.support.commands import run_command
from tests.support.database.rows import get_storage
from tests.support.hosts import PREFIX, get_mount
from tests.support.workers.step_hosts import StepHost

WELL = {"status": "ok", "due": 0, "lag_seconds": 0.0}
NO_QUEUES = [{"kind": kind.name, "due": 0, "lag_seconds": 0.0} for kind in WORK_KINDS]


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url, PROVISIONING_PUBLIC_DOCS=False, PROVISIONING_METRICS_TOKEN=TOKEN)
    yield host
    host.close()


TOKEN = "a-token-of-the-monitoring"


def read_report(app: Flask, query: str = "") -> TestResponse:
    """The response to the monitoring's own token."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return app.test_client().get(f"{PREFIX}/health{query}", headers=headers)


def health(app: Flask) -> dict[str, object]:
    response = read_report(app)
    assert response.status_code == 200, response.text
    document: dict[str, object] = response.get_json()
    assert 0 <= document["database"].pop("latency_ms") < 5000  # type: ignore[attr-defined]
    return document


def test_health_is_ok_if_nothing_waits(host: StepHost) -> None:
    host.open()

    assert health(host.app) == {
        "status": "ok",
        "database": {"status": "ok"},
        "worker": {"status": "ok", "due": 0, "lag_seconds": 0.0, "queues": NO_QUEUES},
    }


def test_workers_that_do_not_keep_up_are_seen(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    partner.create()
    publish_all(get_storage(host.app))
    host.clock.now += 30
    assert worker(host) == {"status": "ok", "due": 1, "lag_seconds": 30.0}
    host.clock.now += 31.5
    partner.create()
    publish_all(get_storage(host.app))

    assert health(host.app) == {
        "status": "degraded",
        "database": {"status": "ok"},
        "worker": {
            "status": "late",
            "due": 2,
            "lag_seconds": 61.5,
            "queues": [{"kind": "steps", "due": 2, "lag_seconds": 61.5}, *NO_QUEUES[1:]],
        },
    }
    output = run_command(host.app, "doctor").out
    assert "warn  worker" in output
    assert "2 due, the first for 62 s (late: steps 2) / run `flask provisioning worker`" in output
    host.work()
    assert health(host.app)["status"] == "ok"


def test_events_that_wait_for_their_place_count(host: StepHost) -> None:
    partner = host.open()
    partner.create()
    host.clock.now += 30
    partner.create()
    host.clock.now += 31.5
    assert worker(host) == {"status": "late", "due": 2, "lag_seconds": 61.5}
    line = (
        "warn  worker          external, 0 steps, 2 due, the first for 62 s (late: events 2) / run `flask provisioning"
    )
    assert line in run_command(host.app, "doctor").out
    assert partner("GET", "/events").status_code == 200

    assert worker(host) == WELL


def test_deliveries_that_are_due_count(host: StepHost) -> None:
    partner = host.open()
    subscribe(partner)
    subscribe(partner)
    partner.create()
    host.clock.now += 5
    publish_all(get_storage(host.app))
    host.clock.now += 61.5
    partner.create()
    publish_all(get_storage(host.app))

    assert worker(host) == {"status": "late", "due": 4, "lag_seconds": 61.5}


def test_delivery_not_yet_due_does_not_count(host: StepHost) -> None:
    partner = host.open()
    subscribe(partner)
    partner.create()
    publish_all(get_storage(host.app))
    set_endpoints(host, due_at=format_instant(host.clock() + 300))
    set_deliveries(host, due_at=format_instant(host.clock() + 300))
    host.clock.now += 299
    assert worker(host) == WELL
    host.clock.now += 2.5

    assert worker(host) == {"status": "ok", "due": 1, "lag_seconds": 1.5}


@pytest.mark.parametrize("column", ["rests_until", "leased_until"])
def test_an_endpoint_that_rests_or_has_a_worker_is_not_late(host: StepHost, column: str) -> None:
    partner = host.open()
    subscribe(partner)
    partner.create()
    publish_all(get_storage(host.app))
    set_endpoints(host, **{column: format_instant(host.clock() + 600)})
    host.clock.now += 590
    assert worker(host) == WELL
    host.clock.now += 12.5
    lag = 2.5 if column == "rests_until" else 602.5

    assert worker(host) == {"status": "ok" if lag < 60 else "late", "due": 1, "lag_seconds": lag}


def test_a_disabled_endpoint_is_not_late(host: StepHost) -> None:
    partner = host.open()
    path = subscribe(partner)
    partner.create()
    publish_all(get_storage(host.app))
    assert partner("PATCH", path, json={"enabled": False}).status_code == 200
    publish_all(get_storage(host.app))
    host.clock.now += 600

    assert worker(host) == WELL


def subscribe(partner: Caller) -> str:
    """Create an endpoint without a receiver; return its path."""
    created = partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    assert created.status_code == 201, created.text
    return f"/webhooks/{created.get_json()['webhook']}"


def worker(host: StepHost) -> dict[str, object]:
    """The workers' part of the report, all kinds of work together."""
    document: Any = health(host.app)["worker"]
    queues = document.pop("queues")
    assert sum(queue["due"] for queue in queues) == document["due"]
    assert max(queue["lag_seconds"] for queue in queues) == document["lag_seconds"]
    return dict(document)


def set_endpoints(host: StepHost, **columns: str) -> None:
    _set(host, "webhooks", columns)


def set_deliveries(host: StepHost, **columns: str) -> None:
    _set(host, "deliveries", columns)


def _set(host: StepHost, table: str, columns: dict[str, str]) -> None:
    storage = get_storage(host.app)
    with storage.engine.begin() as connection:
        connection.execute(storage.table(table).update().values(columns))


def test_a_parameter_is_refused(host: StepHost) -> None:
    host.open()
    for response in (
        read_report(host.app, "?verbose=1"),
        probe(host.app, "live?verbose=1"),
        probe(host.app, "ready?a"),
    ):
        name = "#/a" if response.request.query_string == b"a" else "#/verbose"
        assert_invalid_parameters(response, (name, "unknown-field", "There is no such field."))


def probe(app: Flask, path: str) -> TestResponse:
    """The response to a probe without a token."""
    return app.test_client().get(f"{PREFIX}/health/{path}")


def test_probes_of_a_working_service_are_ok_for_anybody(host: StepHost) -> None:
    host.step("one")
    host.open().create()
    host.clock.now += 3600

    for path in ("live", "ready"):
        response = probe(host.app, path)
        assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


@pytest.mark.without_tables
def test_a_database_without_tables_is_alive_and_not_ready(host: StepHost) -> None:
    host.app.config["PROVISIONING_AUTO_MIGRATE"] = False
    host.open()

    assert probe(host.app, "live").status_code == 200
    response = probe(host.app, "ready")
    check_problem(response, status=503, code="storage-unavailable")
    assert int(response.headers["Retry-After"]) > 0
    check_problem(read_report(host.app), status=503, code="storage-unavailable")


@pytest.mark.parametrize(("revision", "status"), [("0001", 200), ("9999", 200), (None, 503)])
def test_tables_of_no_revision_are_not_ready_and_later_ones_are(
    host: StepHost, revision: str | None, status: int
) -> None:
    host.open()
    storage = get_storage(host.app)
    with storage.engine.begin() as connection:
        connection.execute(text("DELETE FROM provisioning_alembic_version"))
        if revision is not None:
            connection.execute(text("INSERT INTO provisioning_alembic_version VALUES (:r)"), {"r": revision})
    try:
        assert probe(host.app, "ready").status_code == status
    finally:
        with storage.engine.begin() as connection:
            connection.execute(text("DELETE FROM provisioning_alembic_version"))
            connection.execute(text("INSERT INTO provisioning_alembic_version VALUES ('0001')"))


@pytest.mark.one_database
def test_the_revisions_that_readiness_knows_are_those_of_the_migrations() -> None:
    assert get_head_revision() == REVISIONS[-1]


@pytest.mark.one_database
def test_report_needs_the_permission_or_the_token_of_the_monitoring(host: StepHost) -> None:
    partner = host.open("partner-admin")
    anonymous = host.app.test_client().get(f"{PREFIX}/health")
    wrong = host.app.test_client().get(f"{PREFIX}/health", headers={"Authorization": f"Bearer {TOKEN}x"})

    check_problem(anonymous, status=401, code="authentication-required")
    check_problem(wrong, status=401, code="invalid-token")
    check_problem(partner("GET", "/health"), status=403, code="insufficient-permission")
    assert partner.with_roles("provisioning-admin")("GET", "/health").status_code == 200
    assert (
        host.app.test_client().get(f"{PREFIX}/tenants", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 401
    )


@pytest.mark.one_database
def test_a_role_of_the_hosts_own_may_read_the_report(database_url: str) -> None:
    host = StepHost(database_url, PROVISIONING_ROLES={"watcher": ["metrics:read"]})

    assert host.open("watcher")("GET", "/health").status_code == 200
    host.close()


def upload(partner: Caller, rows: int = 2) -> str:
    """Upload a job of so many tenants and return its id."""
    mark = f"{partner.partner}-{time.time_ns()}"
    body = [{"client_name": "Example Corp", "email": f"{mark}-{n}@example.com"} for n in range(rows)]
    response = partner("POST", "/bulk-jobs", json=body)
    assert response.status_code == 202, response.text
    return str(response.get_json()["job"])


def test_a_bulk_job_that_no_worker_has_is_late(host: StepHost) -> None:
    partner = host.open()
    upload(partner)
    publish_all(get_storage(host.app))
    host.clock.now += 61.5
    assert worker(host) == {"status": "late", "due": 1, "lag_seconds": 61.5}
    assert health(host.app)["status"] == "degraded"
    output = run_command(host.app, "doctor").out
    assert "1 due, the first for 62 s (late: bulk jobs 1) / run `flask provisioning worker`" in output
    host.work()

    assert worker(host) == WELL


def test_bulk_job_behind_a_claimed_job_of_its_partner_is_not_overdue(host: StepHost) -> None:
    partner = host.open()
    upload(partner)
    upload(partner)
    work = BULK.make_work(get_mount(host.app), None)  # type: ignore[misc]
    (piece,) = work.claim(1)
    host.clock.now += 600
    work.renew([piece])
    assert worker(host) == WELL
    host.clock.now += work.lease - 1
    assert worker(host) == WELL
    host.clock.now += 61.5 + 1

    assert worker(host) == {"status": "late", "due": 1, "lag_seconds": 61.5}


def test_each_partner_with_waiting_bulk_jobs_counts(host: StepHost) -> None:
    for caller in (host.open(), Caller(host.app)):
        upload(caller)
        upload(caller)
    host.clock.now += 5

    assert worker(host) == {"status": "ok", "due": 2, "lag_seconds": 5.0}


@pytest.mark.one_database
def test_every_kind_of_work_is_looked_for_done_and_shown(host: StepHost) -> None:
    host.open()
    mount = get_mount(host.app)
    lookout = DueCheck(mount.storage)
    assert not any(lookout.is_kind_due(kind) for kind in WORK_KINDS)
    assert list(read_backlog(mount.storage)) == ["steps", "deliveries", "bulk jobs", "invitations", "events"]
    assert len(make_worker(mount)._works) == len({kind for kind in WORK_KINDS if kind.make_work is not None})
    assert {kind for kind in WORK_KINDS if kind.task is None} == {STEPS, EVENTS}
    questions = " ".join(str(kind.select_waiting(mount.storage)) for kind in WORK_KINDS)
    due = {table.name for table in mount.storage.metadata.tables.values() if "due_at" in table.c}
    assert len(due) == 5
    assert all(name in questions for name in due)
