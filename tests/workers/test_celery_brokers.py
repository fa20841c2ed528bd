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
from tests.support.clock import Clock
from tests.support.commands import run_command
from tests.support.hosts import make_config
from tests.support.storms.wire import Wire
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost
from tests.support.workers.step_hosts import read_step_states, read_tenant_status

SILENCED = "the Celery broker is unavailable; the next sweep sends the due work: "
pytestmark = pytest.mark.slow

KINDS = pytest.mark.parametrize("kind", brokers.KINDS)

Make = Callable[[Broker], CeleryHost]
Absent = Callable[[str], Broker]


@pytest.fixture
def lite_url(tmp_path: Path) -> str:
    """The database URL of a host here; the kind of database makes no difference."""
    return f"sqlite:///{tmp_path}/provisioning.sqlite3"


@pytest.fixture
def make(lite_url: str) -> Iterator[Make]:
    """Makes hosts."""
    hosts: list[CeleryHost] = []

    def host(broker: Broker) -> CeleryHost:
        hosts.append(CeleryHost(lite_url, broker))
        return hosts[-1]

    yield host
    for one_house in hosts:
        one_house.close()


@pytest.fixture
def make_absent_broker() -> Iterator[Absent]:
    """Brokers that do not exist: the ports are closed."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        urls = {"redis": f"redis://127.0.0.1:{port}/0", "rabbitmq": f"amqp://guest:guest@127.0.0.1:{port}//"}
        yield lambda kind: Broker(kind, urls[kind], "nobody")


@pytest.fixture
def host(make: Make, make_absent_broker: Absent) -> CeleryHost:
    """A host whose broker is not there."""
    return make(make_absent_broker("redis"))


@pytest.fixture
def silent() -> Iterator[Absent]:
    """Brokers that take connections and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        urls = {"redis": f"redis://127.0.0.1:{port}/0", "rabbitmq": f"amqp://guest:guest@127.0.0.1:{port}//"}
        yield lambda kind: Broker(kind, urls[kind], "nobody")


@KINDS
def test_a_broker_that_is_not_there_fails_no_request(
    make: Make, make_absent_broker: Absent, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    host = make(make_absent_broker(kind))
    host.step("one")
    partner = host.open()
    start = time.monotonic()
    tenants = [partner.create() for _ in range(3)]

    assert time.monotonic() - start < BROKER_TIMEOUT
    assert {read_step_states(partner, tenant)["one"] for tenant in tenants} == {"waiting"}
    records = [record for record in caplog.records if record.name.endswith("workers.celery")]
    assert [record.levelno for record in records] == [logging.WARNING]
    assert records[0].getMessage().startswith(SILENCED)
    assert "Connection refused" in records[0].getMessage()


@KINDS
def test_silent_broker_delays_one_request_only(make: Make, silent: Absent, kind: str) -> None:
    host = make(silent(kind))
    host.step("one")
    partner = host.open()
    start = time.monotonic()
    partner.create()
    first = time.monotonic()
    for _ in range(5):
        partner.create()
    last = time.monotonic()

    assert first - start < 2 * BROKER_TIMEOUT
    assert last - first < BROKER_TIMEOUT / 2


@KINDS
def test_silent_broker_delays_no_write(make: Make, silent: Absent, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    host = make(silent(kind))
    partner = host.open()
    created = partner("POST", "/webhooks", json={"url": "https://93.184.215.14/hook"})
    assert created.status_code == 201, created.text
    start = time.monotonic()
    for _ in range(5):
        partner.create()
    assert time.monotonic() - start < BROKER_TIMEOUT / 2
    host.send_pending()

    messages = [record.getMessage() for record in caplog.records if record.name.startswith("flask_tenant_provisioning")]
    assert len(messages) == 1
    assert messages[0].startswith(SILENCED)


@KINDS
def test_a_broker_that_comes_back_is_used_again(
    make: Make, make_absent_broker: Absent, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with brokers.open_broker(kind) as part:
        host = make(part)
        host.open()
        caplog.set_level(logging.INFO)
        clock, keys = Clock(), [("steps", "acme", "0" * 32, "provisioning", "one")]
        engine = CeleryEngine(host.mount, monotonic=clock)
        host.celery.conf.update(broker_url=make_absent_broker(kind).url)
        engine.wake(keys)
        host.celery.conf.update(broker_url=part.url)
        engine._pools.clear()
        engine.wake(keys)
        assert brokers.take_messages(part) == []
        clock.now += BROKER_PAUSE + 1
        engine.wake(keys)
        engine.wake(keys)

        assert [body[0][1] for _, body in brokers.take_messages(part, 2)] == [[list(keys[0][1:])]] * 2
    messages = [record.getMessage() for record in caplog.records if record.name.endswith("workers.celery")]
    assert (len(messages), messages[-1]) == (2, "the Celery broker is available again")


@KINDS
def test_dead_connection_is_reopened_and_loses_one_message_at_most(make: Make, kind: str) -> None:
    with brokers.open_broker(kind) as part:
        url = make_url(part.url)
        wire = Wire(url)
        led = wire.url.set(query=url.query).render_as_string(hide_password=False)
        host = make(part._replace(url=led))
        host.step("one")
        partner = host.open()
        tenants = [partner.create()]
        wire.cut()
        tenants += [partner.create() for _ in range(3)]

        sent = {body[0][1][0][1] for _, body in brokers.take_messages(part, 4 if kind == "redis" else 3)}
        assert len({tenant["tenant"] for tenant in tenants} - sent) <= 1
        wire.close()


def test_missing_celery_app_logs_the_expected_place(host: CeleryHost, caplog: pytest.LogCaptureFixture) -> None:
    host.step("one")
    partner = host.open()
    del host.app.extensions["celery"]
    partner.create()

    message = SILENCED + "keep your Celery app in app.extensions['celery'], as Flask's documentation does"
    assert message in caplog.messages


def test_task_without_an_application_context_fails_with_the_fix(host: CeleryHost) -> None:
    host.open()
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


def test_a_task_for_a_mount_that_is_not_there_names_those_that_are(host: CeleryHost) -> None:
    host.open()
    failed = host.celery.tasks["flask_tenant_provisioning.sweep"].apply(("eu",))

    assert str(failed.result) == "This Flask app has no mount named 'eu'; it has provisioning."


def test_with_eager_tasks_the_steps_run_within_the_request(host: CeleryHost) -> None:
    host.app.config["CELERY"]["task_always_eager"] = True
    host.step("one")
    host.step("two", after=["one"])
    partner = host.open()
    tenant = partner.create()

    assert host.done == ["one", "two"]
    assert read_tenant_status(partner, tenant) == "active"


FORKING = """
import os, sys
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost

host = CeleryHost(sys.argv[1], Broker(*sys.argv[2:5]))
host.step("one")
partner = host.open()
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
    with brokers.open_broker(kind) as part:
        done = python(FORKING, lite_url, *part)
        assert done.returncode == 0, done.stderr
        assert SILENCED not in done.stderr
        assert len(brokers.take_messages(part, 4)) == 4


def python(script: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own."""
    command, folder = [sys.executable, "-c", script, *arguments], Path(__file__).parents[2]
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


def test_missing_celery_extra_raises_with_the_install_command() -> None:
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
    done = python(WITH_ANOTHER, lite_url, input=json.dumps(make_config(PROVISIONING_ENGINE="embedded")))

    assert done.stdout == "[]\n", done.stderr


def look(host: CeleryHost) -> dict[str, str]:
    """Return the doctor's check of the worker."""
    checks = json.loads(run_command(host.app, "doctor", "--json").out)["checks"]
    finding: dict[str, str] = next(check for check in checks if check["check"] == "worker")
    return {name: finding[name] for name in ("status", "detail", "advice")}


@KINDS
def test_doctor_reports_missing_celery_workers_and_sweep(make: Make, kind: str) -> None:
    with brokers.open_broker(kind) as part:
        host = make(part)
        host.step("one")
        host.open()
        check = look(host)
        assert check["status"] == "warn"
        assert check["detail"].startswith("celery, 1 steps, 0 due; ")
        assert "guest:guest" not in check["detail"]
        assert check["detail"].endswith(", 0 Celery workers respond, and no sweep is scheduled")
        assert check["advice"] == "add beat_schedule() to Celery's `beat_schedule`"
        host.celery.conf.update(beat_schedule=beat_schedule())
        assert look(host)["advice"] == "start one: `celery -A … worker`"
        with host.run_worker():
            check = look(host)
            assert (check["status"], check["advice"]) == ("ok", "")
            assert check["detail"].endswith(", 1 Celery workers respond")


def test_doctor_names_a_missing_broker_or_celery_app(host: CeleryHost) -> None:
    host.open()
    host.celery.conf.update(broker_url=host.broker.url.replace("//", "//:hunter2@"))
    check = look(host)
    assert (check["status"], check["advice"]) == ("fail", "start the broker")
    assert "accepts no messages: " in check["detail"]
    assert "hunter2" not in check["detail"]
    del host.app.extensions["celery"]

    assert look(host) == {
        "status": "fail",
        "detail": "celery, 0 steps, 0 due; the host has no Celery app",
        "advice": "keep your Celery app in app.extensions['celery'], as Flask's documentation does",
    }
