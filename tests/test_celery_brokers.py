"""Brokers that are away or half dead, hosts that lack something: no request fails, and the log says what to do."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from sqlalchemy import make_url

from flask_tenant_provisioning.engine.celery import beat_schedule
from flask_tenant_provisioning.workers.celery import BROKER_PAUSE, BROKER_TIMEOUT, CeleryEngine
from tests import brokers
from tests.brokers import Broker
from tests.celery_hosts import CeleryHouse
from tests.commands import run
from tests.steps import states, status
from tests.storms.wire import Wire
from tests.witness import Clock
from tests.world import configuration

SILENCED = "the Celery broker is unavailable; the next sweep sends the due work: "
pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("kind", brokers.KINDS)

Make = Callable[[Broker], CeleryHouse]
Absent = Callable[[str], Broker]


@pytest.fixture
def lite_url(tmp_path: Path) -> str:
    """Where a host keeps its tables here; the database makes no difference."""
    return f"sqlite:///{tmp_path}/provisioning.sqlite3"


@pytest.fixture
def make(lite_url: str) -> Iterator[Make]:
    """Makes hosts."""
    made: list[CeleryHouse] = []

    def house(broker: Broker) -> CeleryHouse:
        made.append(CeleryHouse(lite_url, broker))
        return made[-1]

    yield house
    for one_house in made:
        one_house.close()


@pytest.fixture
def nowhere() -> Iterator[Absent]:
    """Brokers that are not there: nobody listens where they should be."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        urls = {"redis": f"redis://127.0.0.1:{port}/0", "rabbitmq": f"amqp://guest:guest@127.0.0.1:{port}//"}
        yield lambda kind: Broker(kind, urls[kind], "nobody")


@pytest.fixture
def house(make: Make, nowhere: Absent) -> CeleryHouse:
    """A host whose broker is not there."""
    return make(nowhere("redis"))


@pytest.fixture
def silent() -> Iterator[Absent]:
    """Brokers that take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        urls = {"redis": f"redis://127.0.0.1:{port}/0", "rabbitmq": f"amqp://guest:guest@127.0.0.1:{port}//"}
        yield lambda kind: Broker(kind, urls[kind], "nobody")


@KINDS
def test_a_broker_that_is_not_there_fails_no_request(
    make: Make, nowhere: Absent, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = make(nowhere(kind))
    house.step("one")
    partner = house.open()
    begun = time.monotonic()
    made = [partner.create() for _ in range(3)]

    assert time.monotonic() - begun < BROKER_TIMEOUT
    assert {states(partner, tenant)["one"] for tenant in made} == {"waiting"}
    said = [record for record in caplog.records if record.name.endswith("workers.celery")]
    assert [record.levelno for record in said] == [logging.WARNING]
    assert said[0].getMessage().startswith(SILENCED)
    assert "Connection refused" in said[0].getMessage()


@KINDS
def test_a_broker_that_says_nothing_delays_one_request_and_no_other(make: Make, silent: Absent, kind: str) -> None:
    house = make(silent(kind))
    house.step("one")
    partner = house.open()
    begun = time.monotonic()
    partner.create()
    first = time.monotonic()
    for _ in range(5):
        partner.create()
    last = time.monotonic()

    assert first - begun < 2 * BROKER_TIMEOUT
    assert last - first < BROKER_TIMEOUT / 2


@KINDS
def test_a_broker_that_says_nothing_delays_no_write_of_which_webhooks_tell(
    make: Make, silent: Absent, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    house = make(silent(kind))
    partner = house.open()
    made = partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    assert made.status_code == 201, made.text
    begun = time.monotonic()
    for _ in range(5):
        partner.create()
    assert time.monotonic() - begun < BROKER_TIMEOUT / 2
    house.settle()

    said = [record.getMessage() for record in caplog.records if record.name.startswith("flask_tenant_provisioning")]
    assert len(said) == 1
    assert said[0].startswith(SILENCED)


@KINDS
def test_a_broker_that_comes_back_is_used_again(
    make: Make, nowhere: Absent, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with brokers.part_of(kind) as part:
        house = make(part)
        house.open()
        caplog.set_level(logging.INFO)
        clock, keys = Clock(), [("acme", "0" * 32, "provisioning", "one")]
        engine = CeleryEngine(house.mount, monotonic=clock)
        house.celery.conf.update(broker_url=nowhere(kind).url)
        engine.wake(keys)
        house.celery.conf.update(broker_url=part.url)
        engine._pools.clear()
        engine.wake(keys)
        assert brokers.waiting(part) == []
        clock.now += BROKER_PAUSE + 1
        engine.wake(keys)
        engine.wake(keys)

        assert [body[0][1] for _, body in brokers.waiting(part, 2)] == [[list(keys[0])]] * 2
    said = [record.getMessage() for record in caplog.records if record.name.endswith("workers.celery")]
    assert (len(said), said[-1]) == (2, "the Celery broker is available again")


@KINDS
def test_a_connection_that_died_is_opened_anew_and_one_message_is_lost_at_most(make: Make, kind: str) -> None:
    with brokers.part_of(kind) as part:
        url = make_url(part.url)
        wire = Wire(url)
        led = wire.url.set(query=url.query).render_as_string(hide_password=False)
        house = make(part._replace(url=led))
        house.step("one")
        partner = house.open()
        made = [partner.create()]
        wire.cut()
        made += [partner.create() for _ in range(3)]

        sent = {body[0][1][0][1] for _, body in brokers.waiting(part, 4 if kind == "redis" else 3)}
        assert len({tenant["tenant"] for tenant in made} - sent) <= 1
        wire.close()


def test_without_a_celery_app_the_log_says_where_to_keep_it(
    house: CeleryHouse, caplog: pytest.LogCaptureFixture
) -> None:
    house.step("one")
    partner = house.open()
    del house.app.extensions["celery"]
    partner.create()

    said = SILENCED + "keep your Celery app in app.extensions['celery'], as Flask's documentation does"
    assert said in caplog.messages


def test_a_task_without_an_application_context_says_what_to_do(house: CeleryHouse) -> None:
    house.open()
    plain = Celery("plain", set_as_current=False)
    for name, arguments in (
        ("work", ("provisioning", [])),
        ("sweep", ("provisioning",)),
        ("chores", ("provisioning",)),
    ):
        failed = plain.tasks[f"flask_tenant_provisioning.{name}"].apply(arguments)
        assert str(failed.result) == (
            "The tasks of flask-tenant-provisioning need the Flask app: give your Celery app the `task_cls` of "
            "Flask's documentation, which enters its application context."
        )


def test_a_task_for_a_mount_that_is_not_there_names_those_that_are(house: CeleryHouse) -> None:
    house.open()
    failed = house.celery.tasks["flask_tenant_provisioning.sweep"].apply(("eu",))

    assert str(failed.result) == "This Flask app has no mount named 'eu'; it has provisioning."


def test_with_eager_tasks_the_steps_run_within_the_request(house: CeleryHouse) -> None:
    house.app.config["CELERY"]["task_always_eager"] = True
    house.step("one")
    house.step("two", after=["one"])
    partner = house.open()
    tenant = partner.create()

    assert house.done == ["one", "two"]
    assert status(partner, tenant) == "active"


FORKING = """
import os, sys
from tests.brokers import Broker
from tests.celery_hosts import CeleryHouse
from tests.commands import run

house = CeleryHouse(sys.argv[1], Broker(*sys.argv[2:5]))
house.step("one")
partner = house.open()
partner.create(email="before@example.com")
child = os.fork()
partner.create(email=f"{os.getpid()}@example.com")
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
partner.create(email="after@example.com")
"""


@KINDS
def test_a_forked_process_has_connections_of_its_own(lite_url: str, kind: str) -> None:
    with brokers.part_of(kind) as part:
        done = python(FORKING, lite_url, *part)
        assert done.returncode == 0, done.stderr
        assert SILENCED not in done.stderr
        assert len(brokers.waiting(part, 4)) == 4


def python(script: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command, folder = [sys.executable, "-c", script, *arguments], Path(__file__).parent.parent
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, **options)


WITHOUT_CELERY = """
import sys
sys.modules["celery"] = None
from flask import Flask
from flask_tenant_provisioning import TenantProvisioning
app = Flask("host")
app.config["PROVISIONING_ENGINE"] = "celery"
TenantProvisioning(app)
"""


def test_without_the_extra_the_start_says_what_to_install() -> None:
    done = python(WITHOUT_CELERY)

    assert done.stderr.splitlines()[-1] == (
        "flask_tenant_provisioning.config.ConfigurationError: PROVISIONING_ENGINE must be 'embedded' or "
        "'external', or pip install 'flask-tenant-provisioning[celery]', not 'celery'."
    )


WITH_ANOTHER = """
import json, sys
from flask import Flask
from flask_tenant_provisioning import TenantProvisioning
app = Flask("host")
app.config.update(json.load(sys.stdin))
TenantProvisioning(app, sys.argv[1])
print([name for name in sys.modules if name.partition(".")[0] in ("celery", "kombu")])
"""


def test_another_engine_imports_no_celery(lite_url: str) -> None:
    done = python(WITH_ANOTHER, lite_url, input=json.dumps(configuration(PROVISIONING_ENGINE="embedded")))

    assert done.stdout == "[]\n", done.stderr


def look(house: CeleryHouse) -> dict[str, str]:
    """What the doctor says of the worker."""
    checks = json.loads(run(house.app, "doctor", "--json").out)["checks"]
    found: dict[str, str] = next(check for check in checks if check["check"] == "worker")
    return {name: found[name] for name in ("status", "detail", "advice")}


@KINDS
def test_the_doctor_says_whether_celery_brings_work_to_anybody(make: Make, kind: str) -> None:
    with brokers.part_of(kind) as part:
        house = make(part)
        house.step("one")
        house.open()
        found = look(house)
        assert found["status"] == "warn"
        assert found["detail"].startswith("celery, 1 steps, 0 due; ")
        assert "guest:guest" not in found["detail"]
        assert found["detail"].endswith(", 0 Celery workers respond, and no sweep is scheduled")
        assert found["advice"] == "add beat_schedule() to Celery's `beat_schedule`"
        house.celery.conf.update(beat_schedule=beat_schedule())
        assert look(house)["advice"] == "start one: `celery -A … worker`"
        with house.at_work():
            found = look(house)
            assert (found["status"], found["advice"]) == ("ok", "")
            assert found["detail"].endswith(", 1 Celery workers respond")


def test_the_doctor_says_what_is_missing(house: CeleryHouse) -> None:
    house.open()
    house.celery.conf.update(broker_url=house.broker.url.replace("//", "//:hunter2@"))
    found = look(house)
    assert (found["status"], found["advice"]) == ("fail", "start the broker")
    assert "accepts no messages: " in found["detail"]
    assert "hunter2" not in found["detail"]
    del house.app.extensions["celery"]

    assert look(house) == {
        "status": "fail",
        "detail": "celery, 0 steps, 0 due; the host has no Celery app",
        "advice": "keep your Celery app in app.extensions['celery'], as Flask's documentation does",
    }
