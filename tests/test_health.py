"""`GET /health`: whether the database answers and the workers keep up; for anybody, without a token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask

from tests.commands import run
from tests.refusals import invalid_parameter
from tests.steps import House
from tests.world import PREFIX, problem


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
    house.clock.now += 30
    assert health(house.app)["worker"] == {"status": "ok", "due": 1, "lag_seconds": 30.0}
    house.clock.now += 31.5
    partner.create()

    assert health(house.app) == {
        "status": "degraded",
        "database": {"status": "ok"},
        "worker": {"status": "late", "due": 2, "lag_seconds": 61.5},
    }
    found = run(house.app, "doctor").out
    assert "warn  worker" in found
    assert "2 due, the first for 62 s / run `flask provisioning worker`" in found
    house.work()
    assert health(house.app)["status"] == "ok"


def test_a_parameter_is_refused(house: House) -> None:
    house.open()
    answer = house.app.test_client().get(f"{PREFIX}/health?verbose=1")
    invalid_parameter(answer, ("#/verbose", "unknown-field", "There is no such field."))


@pytest.mark.without_tables
def test_a_database_that_does_not_answer_is_503(house: House) -> None:
    house.app.config["PROVISIONING_AUTO_MIGRATE"] = False
    house.open()

    problem(house.app.test_client().get(f"{PREFIX}/health"), status=503, code="storage-unavailable")
