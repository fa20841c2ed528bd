"""`GET /health`: whether the database answers and the workers keep up; for anybody, without a token."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from flask import Flask

from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.health import read_backlog
from flask_tenant_provisioning.workers.kinds import BULK, EVENTS, STEPS, WORK_KINDS, DueCheck
from flask_tenant_provisioning.workers.worker import make_worker
from tests.commands import run
from tests.refusals import invalid_parameter
from tests.steps import House
from tests.witness import storage_of
from tests.world import PREFIX, Caller, mount_of, problem

WELL = {"status": "ok", "due": 0, "lag_seconds": 0.0}


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    made = House(database_url, PROVISIONING_PUBLIC_DOCS=False)
    yield made
    made.close()


def health(app: Flask) -> dict[str, object]:
    answer = app.test_client().get(f"{PREFIX}/health")
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.get_json()
    assert 0 <= found["database"].pop("latency_ms") < 5000  # type: ignore[attr-defined]
    return found


def test_all_is_well_where_nothing_waits(house: House) -> None:
    house.open()

    assert health(house.app) == {
        "status": "ok",
        "database": {"status": "ok"},
        "worker": {"status": "ok", "due": 0, "lag_seconds": 0.0},
    }


def test_workers_that_do_not_keep_up_are_seen(house: House) -> None:
    house.step("one")
    partner = house.open()
    partner.create()
    publish_all(storage_of(house.app))
    house.clock.now += 30
    assert health(house.app)["worker"] == {"status": "ok", "due": 1, "lag_seconds": 30.0}
    house.clock.now += 31.5
    partner.create()
    publish_all(storage_of(house.app))

    assert health(house.app) == {
        "status": "degraded",
        "database": {"status": "ok"},
        "worker": {"status": "late", "due": 2, "lag_seconds": 61.5},
    }
    found = run(house.app, "doctor").out
    assert "warn  worker" in found
    assert "2 due, the first for 62 s (late: steps 2) / run `flask provisioning worker`" in found
    house.work()
    assert health(house.app)["status"] == "ok"


def test_events_that_wait_for_their_place_count(house: House) -> None:
    partner = house.open()
    partner.create()
    house.clock.now += 30
    partner.create()
    house.clock.now += 31.5
    assert worker(house) == {"status": "late", "due": 2, "lag_seconds": 61.5}
    told = (
        "warn  worker          external, 0 steps, 2 due, the first for 62 s (late: events 2) / run `flask provisioning"
    )
    assert told in run(house.app, "doctor").out
    assert partner("GET", "/events").status_code == 200

    assert worker(house) == WELL


def test_deliveries_that_are_due_count(house: House) -> None:
    partner = house.open()
    subscribe(partner)
    subscribe(partner)
    partner.create()
    house.clock.now += 5
    publish_all(storage_of(house.app))
    house.clock.now += 61.5
    partner.create()
    publish_all(storage_of(house.app))

    assert worker(house) == {"status": "late", "due": 4, "lag_seconds": 61.5}


def test_a_delivery_whose_time_has_not_come_does_not_count(house: House) -> None:
    partner = house.open()
    subscribe(partner)
    partner.create()
    publish_all(storage_of(house.app))
    set_endpoints(house, due_at=format_instant(house.clock() + 300))
    set_deliveries(house, due_at=format_instant(house.clock() + 300))
    house.clock.now += 299
    assert worker(house) == WELL
    house.clock.now += 2.5

    assert worker(house) == {"status": "ok", "due": 1, "lag_seconds": 1.5}


@pytest.mark.parametrize("column", ["rests_until", "leased_until"])
def test_an_endpoint_that_rests_or_has_a_worker_is_not_late(house: House, column: str) -> None:
    partner = house.open()
    subscribe(partner)
    partner.create()
    publish_all(storage_of(house.app))
    set_endpoints(house, **{column: format_instant(house.clock() + 600)})
    house.clock.now += 590
    assert worker(house) == WELL
    house.clock.now += 12.5
    lag = 2.5 if column == "rests_until" else 602.5

    assert worker(house) == {"status": "ok" if lag < 60 else "late", "due": 1, "lag_seconds": lag}


def test_a_disabled_endpoint_is_not_late(house: House) -> None:
    partner = house.open()
    path = subscribe(partner)
    partner.create()
    publish_all(storage_of(house.app))
    assert partner("PATCH", path, json={"enabled": False}).status_code == 200
    publish_all(storage_of(house.app))
    house.clock.now += 600

    assert worker(house) == WELL


def subscribe(partner: Caller) -> str:
    """The path of a new endpoint, which nobody sends to."""
    made = partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    assert made.status_code == 201, made.text
    return f"/webhooks/{made.get_json()['webhook']}"


def worker(house: House) -> object:
    return health(house.app)["worker"]


def set_endpoints(house: House, **columns: str) -> None:
    _set(house, "webhooks", columns)


def set_deliveries(house: House, **columns: str) -> None:
    _set(house, "deliveries", columns)


def _set(house: House, table: str, columns: dict[str, str]) -> None:
    storage = storage_of(house.app)
    with storage.engine.begin() as connection:
        connection.execute(storage.table(table).update().values(columns))


def test_a_parameter_is_refused(house: House) -> None:
    house.open()
    answer = house.app.test_client().get(f"{PREFIX}/health?verbose=1")
    invalid_parameter(answer, ("#/verbose", "unknown-field", "There is no such field."))


@pytest.mark.without_tables
def test_a_database_that_does_not_answer_is_503(house: House) -> None:
    house.app.config["PROVISIONING_AUTO_MIGRATE"] = False
    house.open()

    problem(house.app.test_client().get(f"{PREFIX}/health"), status=503, code="storage-unavailable")


def upload(partner: Caller, rows: int = 2) -> str:
    """Upload a job of so many tenants and return its id."""
    mark = f"{partner.partner}-{time.time_ns()}"
    body = [{"client_name": "Example Corp", "email": f"{mark}-{n}@example.com"} for n in range(rows)]
    answer = partner("POST", "/bulk-jobs", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.get_json()["job"])


def test_a_bulk_job_that_no_worker_has_is_late(house: House) -> None:
    partner = house.open()
    upload(partner)
    publish_all(storage_of(house.app))
    house.clock.now += 61.5
    assert worker(house) == {"status": "late", "due": 1, "lag_seconds": 61.5}
    assert health(house.app)["status"] == "degraded"
    found = run(house.app, "doctor").out
    assert "1 due, the first for 62 s (late: bulk jobs 1) / run `flask provisioning worker`" in found
    house.work()

    assert worker(house) == WELL


def test_a_bulk_job_waits_for_no_worker_while_one_has_it_or_an_older_one_of_its_partner(house: House) -> None:
    partner = house.open()
    upload(partner)
    upload(partner)
    work = BULK.make_work(mount_of(house.app), None)  # type: ignore[misc]
    (piece,) = work.claim(1)
    house.clock.now += 600
    work.renew([piece])
    assert worker(house) == WELL
    house.clock.now += work.lease - 1
    assert worker(house) == WELL
    house.clock.now += 61.5 + 1

    assert worker(house) == {"status": "late", "due": 1, "lag_seconds": 61.5}


def test_each_partner_whose_bulk_jobs_wait_counts(house: House) -> None:
    for caller in (house.open(), Caller(house.app)):
        upload(caller)
        upload(caller)
    house.clock.now += 5

    assert worker(house) == {"status": "ok", "due": 2, "lag_seconds": 5.0}


@pytest.mark.one_database
def test_every_kind_of_work_is_looked_for_done_and_shown(house: House) -> None:
    house.open()
    mount = mount_of(house.app)
    lookout = DueCheck(mount.storage)
    assert not any(lookout.is_kind_due(kind) for kind in WORK_KINDS)
    assert list(read_backlog(mount.storage)) == ["steps", "deliveries", "bulk jobs", "events"]
    assert len(make_worker(mount)._works) == len({kind for kind in WORK_KINDS if kind.make_work is not None})
    assert {kind for kind in WORK_KINDS if kind.task is None} == {STEPS, EVENTS}
    questions = " ".join(str(kind.select_waiting(mount.storage)) for kind in WORK_KINDS)
    due = {table.name for table in mount.storage.metadata.tables.values() if "due_at" in table.c}
    assert len(due) == 4
    assert all(name in questions for name in due)
