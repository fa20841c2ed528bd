"""Workers killed in the middle of their steps: each step of each tenant takes effect once, and no tenant is stuck."""

from __future__ import annotations

import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.support.callers import Caller
from tests.support.database.rows import fetch_all_rows, get_storage
from tests.support.storms import stepping_host
from tests.support.storms.processes import Workers

pytestmark = pytest.mark.slow

TENANTS, KILLS, PATIENCE = 300, 10, 150
WORKERS = {"sqlite": 1, "postgresql": 3}


@pytest.fixture
def workers(database: str, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setitem(os.environ, "STORM_URL", database_url)
    stepping_host.prepare(database_url)
    stepping_host.create_app()
    new_workers = Workers(stepping_host.__name__, WORKERS[database], tmp_path)
    yield new_workers
    new_workers.stop()


def test_each_step_takes_effect_once_if_workers_are_killed(
    workers: Workers, database: str, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = stepping_host.create_app()
    partner, start = Caller(app), time.monotonic()
    unfinished = get_storage(app).table("tenants")

    def count_left() -> int:
        with get_storage(app).engine.connect() as connection:
            wanted = select(func.count()).where(unfinished.c.status != "active")
            return int(connection.execute(wanted).scalar_one())

    tenants = [partner.create()["tenant"] for _ in range(TENANTS // 2)]
    for kill in range(KILLS):
        tenants += [partner.create()["tenant"] for _ in range(TENANTS // 2 // KILLS)]
        time.sleep(random.uniform(0.2, 1.0) if kill else 3)
        workers.kill_one()
    while count_left() and time.monotonic() - start < PATIENCE:
        time.sleep(0.2)
    seconds = time.monotonic() - start

    books = fetch_all_rows(app)
    assert Counter(row["status"] for row in books["tenants"]) == {"active": TENANTS}
    assert Counter(row["state"] for row in books["steps"]) == {"succeeded": TENANTS * 4}
    assert Counter(row["state"] for row in books["runs"]) == {"succeeded": TENANTS}
    kinds = Counter(row["type"] for row in books["events"])
    assert kinds == {"tenant.created": TENANTS, "tenant.provisioned": TENANTS}
    with stepping_host.storm_engine(database_url).connect() as connection:
        effects = connection.execute(select(stepping_host.effects)).all()
        executions = connection.execute(select(func.count()).select_from(stepping_host.runs)).scalar_one()
    assert sorted(key for key, _ in effects) == sorted(
        f"{tenant}:provisioning:{step}:1" for tenant in tenants for step in stepping_host.STEPS
    )
    with capsys.disabled():
        again = executions - TENANTS * 4
        summary = f"{TENANTS} tenants, {KILLS} kills, {executions} runs ({again} again), {seconds:.0f} s"
        print(f"\n{database}: {summary}", file=sys.stderr)
    get_storage(app).engine.dispose()
