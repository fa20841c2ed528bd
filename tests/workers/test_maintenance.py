"""The workers' maintenance: what is past its time goes, exactly at its limit, and what is not stays."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.database.ids import format_instant
from flask_tenant_provisioning.events.feed import publish_all
from flask_tenant_provisioning.workers.maintenance import Maintenance
from tests.support.bulk import Bulk
from tests.support.callers import Caller, tenant_path
from tests.support.clock import DAY, LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.hosts import get_mount

HOUR = 3600.0
HOOK = {"url": "https://93.184.215.14/hook"}


@pytest.fixture
def clock() -> Clock:
    new_clock = Clock()
    new_clock.now = float(int(new_clock.now))
    return new_clock


@pytest.fixture
def host(make_app: Any, clock: Clock) -> Flask:
    app: Flask = make_app(
        mount={"clock": clock},
        PROVISIONING_RETENTION_DAYS=3,
        PROVISIONING_EVENT_RETENTION_DAYS=5,
        PROVISIONING_BULK_RETENTION_DAYS=7,
        PROVISIONING_IDEMPOTENCY_HOURS=2,
        **LONG_LIVED_TOKENS,
    )
    return app


def maintain(app: Flask) -> None:
    """Take a round of the maintenance."""
    Maintenance(get_mount(app)).run()


def count_around_limit(app: Flask, clock: Clock, table: str, seconds: float) -> tuple[int, int]:
    """Return the rows of a table after maintenance, a moment before they are so many seconds old, and at that age."""
    clock.now += seconds - 1
    maintain(app)
    before = len(fetch_rows(app, table))
    clock.now += 1
    maintain(app)
    return before, len(fetch_rows(app, table))


def test_remembered_answers_go_when_their_hours_are_over(host: Flask, clock: Clock) -> None:
    partner = Caller(host)
    body = {"client_name": "A", "email": "a@example.com"}
    assert partner("POST", "/tenants", json=body, headers={"Idempotency-Key": "k"}).status_code == 201
    assert count_around_limit(host, clock, "idempotency", 2 * HOUR) == (1, 0)


def test_deleted_tenants_go_when_their_days_are_over(host: Flask, clock: Clock) -> None:
    partner = Caller(host)
    assert partner("DELETE", tenant_path(partner.create())).status_code == 200
    assert count_around_limit(host, clock, "tenants", 3 * DAY) == (1, 0)


def test_deliveries_and_events_go_a_moment_after_their_days_are_over(host: Flask, clock: Clock) -> None:
    """Rows of exactly the allowed age are kept."""
    partner = Caller(host)
    assert partner("POST", "/webhooks", json=HOOK).status_code == 201
    clock.now += 1
    partner.create()
    publish_all(get_storage(host))
    clock.now += 1
    for table, count in (("events", 2), ("deliveries", 1)):
        assert len(fetch_rows(host, table)) == count
    clock.now += 5 * DAY - 2
    maintain(host)
    assert (len(fetch_rows(host, "events")), len(fetch_rows(host, "deliveries"))) == (2, 1)
    clock.now += 1
    maintain(host)
    assert (len(fetch_rows(host, "events")), len(fetch_rows(host, "deliveries"))) == (1, 1)
    clock.now += 1
    maintain(host)
    assert (len(fetch_rows(host, "events")), len(fetch_rows(host, "deliveries"))) == (0, 0)


def test_jobs_that_have_ended_go_a_moment_after_their_days_are_over(host: Flask, clock: Clock) -> None:
    bulk = Bulk(host, Caller(host))
    bulk.do("create", [{"client_name": "A", "email": "a@example.com"}])
    assert count_around_limit(host, clock, "bulk_jobs", 7 * DAY) == (1, 1)
    clock.now += 1
    maintain(host)
    assert (fetch_rows(host, "bulk_jobs"), fetch_rows(host, "bulk_chunks"), fetch_rows(host, "bulk_keys")) == (
        [],
        [],
        [],
    )


def test_running_job_is_never_removed(host: Flask, clock: Clock) -> None:
    bulk = Bulk(host, Caller(host))
    bulk.upload("create", [{"client_name": "A", "email": "a@example.com"}])
    clock.now += 100 * DAY
    maintain(host)
    assert [job["state"] for job in fetch_rows(host, "bulk_jobs")] == ["queued"]
    assert len(fetch_rows(host, "bulk_chunks")) == 1
    bulk.work()
    assert len(fetch_rows(host, "tenants")) == 1


def test_an_upload_that_broke_off_goes_after_a_day(host: Flask, clock: Clock) -> None:
    bulk = Bulk(host, Caller(host))
    bulk.upload("create", [{"client_name": "A", "email": "a@example.com"}])
    storage = get_storage(host)
    jobs = storage.table("bulk_jobs")
    with storage.engine.begin() as connection:
        connection.execute(jobs.update().values(state="receiving", due_at=None, created_at=format_instant(clock.now)))
    assert count_around_limit(host, clock, "bulk_jobs", DAY) == (1, 1)
    clock.now += 1
    maintain(host)
    assert (fetch_rows(host, "bulk_jobs"), fetch_rows(host, "bulk_chunks")) == ([], [])
