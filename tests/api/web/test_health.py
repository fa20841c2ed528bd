"""`GET /health`: whether the database answers and the workers keep up; for anybody, without a token."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask

from flask_tenant_provisioning.database.ids import format_instant
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


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url, PROVISIONING_PUBLIC_DOCS=False)
    yield host
    host.close()


def health(app: Flask) -> dict[str, object]:
    response = app.test_client().get(f"{PREFIX}/health")
    assert response.status_code == 200, response.text
    document: dict[str, object] = response.get_json()
    assert 0 <= document["database"].pop("latency_ms") < 5000  # type: ignore[attr-defined]
    return document


def test_health_is_ok_if_nothing_waits(host: StepHost) -> None:
    host.open()

    assert health(host.app) == {
        "status": "ok",
        "database": {"status": "ok"},
        "worker": {"status": "ok", "due": 0, "lag_seconds": 0.0},
    }


def test_workers_that_do_not_keep_up_are_seen(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    partner.create()
    publish_all(get_storage(host.app))
    host.clock.now += 30
    assert health(host.app)["worker"] == {"status": "ok", "due": 1, "lag_seconds": 30.0}
    host.clock.now += 31.5
    partner.create()
    publish_all(get_storage(host.app))

    assert health(host.app) == {
        "status": "degraded",
        "database": {"status": "ok"},
        "worker": {"status": "late", "due": 2, "lag_seconds": 61.5},
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


def worker(host: StepHost) -> object:
    return health(host.app)["worker"]


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
    response = host.app.test_client().get(f"{PREFIX}/health?verbose=1")
    assert_invalid_parameters(response, ("#/verbose", "unknown-field", "There is no such field."))


@pytest.mark.without_tables
def test_a_database_that_does_not_answer_is_503(host: StepHost) -> None:
    host.app.config["PROVISIONING_AUTO_MIGRATE"] = False
    host.open()

    check_problem(host.app.test_client().get(f"{PREFIX}/health"), status=503, code="storage-unavailable")


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
    assert list(read_backlog(mount.storage)) == ["steps", "deliveries", "bulk jobs", "events"]
    assert len(make_worker(mount)._works) == len({kind for kind in WORK_KINDS if kind.make_work is not None})
    assert {kind for kind in WORK_KINDS if kind.task is None} == {STEPS, EVENTS}
    questions = " ".join(str(kind.select_waiting(mount.storage)) for kind in WORK_KINDS)
    due = {table.name for table in mount.storage.metadata.tables.values() if "due_at" in table.c}
    assert len(due) == 4
    assert all(name in questions for name in due)
