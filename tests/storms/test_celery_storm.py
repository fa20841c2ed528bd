"""Celery workers killed at random, and messages lost: each step takes effect once, and no tenant is stuck."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from sqlalchemy import Engine, make_url, select, text

from flask_tenant_provisioning.engine.celery import beat_schedule
from tests.support.callers import Caller
from tests.support.database import postgresql
from tests.support.database.rows import get_storage
from tests.support.storms import celery_host, stepping_host
from tests.support.storms.stepping_host import STEPS, runs
from tests.support.storms.workers import Workers
from tests.support.waiting import wait_for
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker

pytestmark = pytest.mark.slow

TENANTS = 300
WORKERS = 3
KILLS = 10
#: Everything is done by then, in seconds from the last kill on.
LAST = 100


class Aftermath(NamedTuple):
    """The state after the storm."""

    tenants: Counter[str]
    steps: Counter[str]
    expected: set[str]
    effects: list[str]
    executions: Counter[str]
    provisioned: Counter[str]
    lost: int


@pytest.fixture(scope="module", params=brokers.KINDS)
def storm(
    request: pytest.FixtureRequest, postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Aftermath]:
    """Tenants are created while workers are killed ten times, and once every message that waits is lost."""
    url = postgresql.create_schema(make_url(postgresql_url)).render_as_string(hide_password=False)
    stepping_host.prepare(url)
    with brokers.open_broker(request.param) as part, pytest.MonkeyPatch.context() as environment:
        environment.setenv("STORM_URL", url)
        environment.setenv("STORM_CELERY", json.dumps({**part.settings(), "beat_schedule": beat_schedule(every=1)}))
        app = celery_host.create_app()
        workers = Workers(WORKERS, tmp_path_factory.mktemp(part.kind) / "log", "tests.support.storms.celery_host")
        try:
            yield _weather(Caller(app), get_storage(app).engine, workers, part)
        finally:
            workers.stop()
            app.extensions["tenant_provisioning"]["provisioning"].engine.stop(10)
            app.extensions["celery"].close()
            get_storage(app).engine.dispose()


def _weather(partner: Caller, engine: Engine, workers: Workers, part: Broker) -> Aftermath:
    start, lost, tenants = time.monotonic(), 0, []
    for number in range(KILLS):
        tenants += [partner.create()["tenant"] for _ in range(TENANTS // KILLS)]
        if number == KILLS // 2:
            lost = brokers.discard_messages(part)
        _kill(engine, workers, number % 2 == 0)
    killed = time.monotonic()
    assert wait_for(lambda: _count(engine, "tenants WHERE status = 'active'") == TENANTS, LAST), workers.output()
    aftermath = _aftermath(engine, tenants, lost)
    _report(part, aftermath, killed - start, time.monotonic() - killed)
    return aftermath


def _kill(engine: Engine, workers: Workers, whole: bool) -> None:
    """Wait until a worker is in the midst of its work, and kill it, or just the process that works for it."""
    seen = _latest(engine)
    assert wait_for(lambda: _latest(engine) != seen and _latest(engine)[2] in workers.pids, 30), workers.output()
    time.sleep(random.uniform(0, 0.1))
    _, process, worker = _latest(engine)
    if whole:
        workers.kill(worker)
    else:
        workers.kill_child(process)


def _latest(engine: Engine) -> tuple[int, int, int]:
    """The latest execution of a step: its number, and where it ran."""
    query = select(runs.c.id, runs.c.process, runs.c.parent)
    with engine.connect() as connection:
        row = connection.execute(query.order_by(runs.c.id.desc()).limit(1)).fetchone()
    return tuple(row) if row else (0, 0, 0)


def _count(engine: Engine, what: str) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM provisioning_{what}")) or 0)


def _aftermath(engine: Engine, tenants: list[str], lost: int) -> Aftermath:
    with engine.connect() as connection:

        def column(sql: str) -> list[str]:
            return list(map(str, connection.scalars(text(sql))))

        return Aftermath(
            tenants=Counter(column("SELECT status FROM provisioning_tenants")),
            steps=Counter(column("SELECT state FROM provisioning_steps")),
            expected={f"{tenant}:provisioning:{step}:1" for tenant in tenants for step in STEPS},
            effects=column("SELECT key FROM effects"),
            executions=Counter(column("SELECT key FROM executions")),
            provisioned=Counter(column("SELECT tenant_id FROM provisioning_events WHERE type = 'tenant.provisioned'")),
            lost=lost,
        )


def _report(part: Broker, aftermath: Aftermath, storm: float, calm: float) -> None:
    """Print figures for runs of the storm with ``-s``."""
    ran = aftermath.executions.total()
    print(
        f"\n{part.kind}: {aftermath.tenants.total()} tenants, {len(aftermath.effects)} effects, {ran} executions "
        f"({ran - len(aftermath.effects)} again), {KILLS} kills, {aftermath.lost} messages lost; "
        f"{storm:.1f} s of storm, all done {calm:.1f} s after it"
    )


def test_no_tenant_is_stuck(storm: Aftermath) -> None:
    assert storm.tenants == {"active": TENANTS}
    assert storm.steps == {"succeeded": TENANTS * len(STEPS)}


def test_every_step_of_every_tenant_has_taken_effect_exactly_once(storm: Aftermath) -> None:
    assert sorted(storm.effects) == sorted(storm.expected)


def test_only_interrupted_steps_run_again(storm: Aftermath) -> None:
    assert storm.executions.keys() == storm.expected
    again = storm.executions.total() - len(storm.expected)
    assert 0 < again <= KILLS * 8


def test_each_tenant_became_active_once(storm: Aftermath) -> None:
    assert set(storm.provisioned.values()) == {1}


def test_lost_messages_have_no_effect(storm: Aftermath) -> None:
    assert storm.lost > 0
