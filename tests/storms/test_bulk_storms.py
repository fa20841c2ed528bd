"""Workers killed during a large job, and PostgreSQL stopped: every row once, every count exact."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select

from flask_tenant_provisioning.bulk.models import Job
from flask_tenant_provisioning.database.migration import upgrade
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.storms import telling_host
from tests.support.storms.cluster import Cluster
from tests.support.storms.processes import Workers

pytestmark = pytest.mark.slow

ROWS = {"sqlite": 20_000, "postgresql": 100_000}
KILLS, PATIENCE = 10, 300
WORKERS = {"sqlite": 1, "postgresql": 3}


def make_rows(count: int) -> list[dict[str, Any]]:
    """Make rows: each hundredth is invalid, and each next one exists already."""
    rows = []
    for n in range(count):
        email = "nobody" if n % 100 == 50 else f"admin{n - (n % 100 == 51) * 50}@example.com"
        rows.append({"client_name": f"Client {n}", "email": email, "external_id": f"e{n}"})
    return rows


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    (tmp_path / "clock").write_text("0")

    def use(url: str) -> None:
        monkeypatch.setitem(os.environ, "STORM_URL", url)
        monkeypatch.setitem(os.environ, "STORM_CLOCK", str(tmp_path / "clock"))

    return use


def storm(
    count: int, workers: int, folder: Path, between: Callable[[Bulk, int], None] = lambda bulk, kill: None
) -> tuple[Bulk, Job]:
    """Upload so many rows, and have them done by workers of whom one after the other is killed."""
    app = telling_host.create_app()
    bulk = Bulk(app, Caller(app))
    admin = Caller(app, roles=["provisioning-admin"])
    assert admin("PUT", f"/partners/{bulk.partner.partner}", json={"max_tenants": 10 * count}).status_code == 201
    job, crew = bulk.upload("create", make_rows(count)), Workers(telling_host.__name__, workers, folder)
    end = time.monotonic() + PATIENCE
    try:
        for kill in range(KILLS):
            time.sleep(random.uniform(0.3, 1.5))
            crew.kill_one()
            between(bulk, kill)
        while bulk.job(job).finished_at is None and time.monotonic() < end:
            time.sleep(0.5)
    finally:
        crew.stop()
    return bulk, bulk.job(job)


def require_exact(bulk: Bulk, job: Job, count: int) -> None:
    """Every valid row is one tenant and one event, every row one result, and the counters are these.

    The partner's counter is its living tenants, and of the places that dead workers had reserved none is left.
    """
    bad = count // 100
    assert (job.state, job.rows) == ("partial", count)
    assert (job.succeeded, job.failed, job.unchanged) == (count - 2 * bad, 2 * bad, 0)
    results = bulk.results(job)
    assert [result.row for result in results] == list(range(1, count + 1))
    assert Counter(result.status for result in results) == {201: count - 2 * bad, 400: bad, 409: bad}
    created = {result.tenant for result in results if result.state == "succeeded"}
    with bulk.mount.storage.engine.connect() as connection:
        tenants, events = bulk.mount.storage.table("tenants").c, bulk.mount.storage.table("events").c
        query = select(events.tenant_id).where(events.type == "tenant.created")
        there = [id for (id,) in connection.execute(select(tenants.id))]
        assert len(there) == len(created)
        assert set(there) == created
        assert sorted(id for (id,) in connection.execute(query)) == sorted(filter(None, created))
        ended = select(func.count()).where(events.type == "bulk_job.finished")
        assert connection.scalar(ended) == 1
    (counter,) = fetch_rows(bulk.app, "usage", partner_id=bulk.partner.partner)
    assert (counter["tenants"], counter["reserved"]) == (len(created), 0)


def test_workers_that_are_killed_do_every_row_once(
    database_url: str,
    database: str,
    environment: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment(database_url)
    start, count = time.monotonic(), ROWS[database]
    bulk, job = storm(count, WORKERS[database], tmp_path)
    require_exact(bulk, job, count)
    with capsys.disabled():
        print(f"\n{database}: {count} rows, {KILLS} kills: {time.monotonic() - start:.0f} s", file=sys.stderr)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    try:
        new_cluster = Cluster()
    except RuntimeError as error:
        pytest.skip(f"PostgreSQL: not found ({error})")
    engine = create_engine(new_cluster.url)
    upgrade(engine, "provisioning_")
    engine.dispose()
    yield new_cluster
    new_cluster.stop("immediate")


def test_rows_take_effect_once_if_postgresql_restarts(
    cluster: Cluster, environment: Callable[[str], None], tmp_path: Path
) -> None:
    def outage(bulk: Bulk, kill: int) -> None:
        if kill in (3, 6):
            cluster.stop("immediate" if kill == 3 else "fast")
            cluster.start()
            bulk.mount.storage.engine.dispose()

    environment(cluster.url.render_as_string(hide_password=False))
    count = ROWS["postgresql"] // 2
    bulk, job = storm(count, 3, tmp_path, outage)
    require_exact(bulk, job, count)
