"""Workers as they are run: in the serving process, as a process of their own, and stopped with grace."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flask_tenant_provisioning.workers.worker import Worker
from tests.support.callers import EXAMPLE, Caller
from tests.support.clock import Clock
from tests.support.commands import run_command
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX
from tests.support.servers import send_request, serve
from tests.support.waiting import wait_for
from tests.support.workers.step_hosts import StepHost, read_tenant_status

HOST = """
import time
from pathlib import Path
from flask import Flask
from flask_tenant_provisioning import TenantProvisioning
from tests.support.hosts import make_config

provisioning = TenantProvisioning()

@provisioning.step("slow")
def slow(tenant):
    Path({begun!r}).touch()
    time.sleep({seconds})

def create_app():
    app = Flask("host")
    app.config.update(make_config(PROVISIONING_WORKER_POLL_SECONDS=1))
    provisioning.init_app(app, {url!r})
    return app
"""


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url, PROVISIONING_ENGINE="embedded")
    yield host
    mount = host.app.extensions["tenant_provisioning"]["provisioning"]
    mount.engine.stop(10)
    host.close()


def list_worker_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("flask_tenant_provisioning")]


def test_the_worker_starts_with_the_first_request_and_not_before(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    assert list_worker_threads() == []
    with serve(host.app) as address:
        response = send_request(address, "POST", f"{PREFIX}/tenants", partner.token, EXAMPLE)
        assert response.status == 201
        assert wait_for(lambda: read_tenant_status(partner, response.json()) == "active")
        assert wait_for(lambda: list_worker_threads() == ["flask_tenant_provisioning-worker"])


def test_a_public_page_starts_no_worker(host: StepHost) -> None:
    host.open()
    assert host.app.test_client().get(f"{PREFIX}/health/ready").status_code == 200
    assert list_worker_threads() == []


def test_the_worker_of_a_process_is_woken_at_once(host: StepHost) -> None:
    """Each of six steps in a row is begun when the one before has ended, not at the next look around."""
    for number in range(6):
        host.step(f"s{number}", after=[f"s{number - 1}"] if number else [])
    host.app.config["PROVISIONING_WORKER_POLL_SECONDS"] = 60
    partner = host.open()
    partner("GET", "/tenants")
    start = time.monotonic()
    tenant = partner.create()
    assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert time.monotonic() - start < 50, "one look around is 60 seconds away"


def test_stopped_worker_finishes_its_current_step(host: StepHost) -> None:
    entered, leave = threading.Event(), threading.Event()

    @host.provisioning.step("one")
    def wait() -> None:
        entered.set()
        assert leave.wait(20)

    partner = host.open()
    tenant = partner.create()
    assert entered.wait(20)
    engine = host.app.extensions["tenant_provisioning"]["provisioning"].engine
    stopping = threading.Thread(target=engine.stop, args=(20,))
    stopping.start()
    leave.set()
    stopping.join(20)

    assert read_tenant_status(partner, tenant) == "active"
    assert wait_for(lambda: list_worker_threads() == [])


def test_drain_runs_due_work_and_exits(database_url: str) -> None:
    host = StepHost(database_url)
    host.step("one")
    host.step("two", after=["one"])
    partner = host.open()
    tenant = partner.create()

    result = run_command(host.app, "worker", "--drain")

    assert (result.status, result.out) == (0, "")
    assert read_tenant_status(partner, tenant) == "active"
    host.close()


def start_worker(tmp_path: Path, url: str, seconds: float) -> subprocess.Popen[str]:
    """A worker process of a host whose one step takes so long."""
    module = tmp_path / "worker_host.py"
    module.write_text(HOST.format(url=url, seconds=seconds, begun=str(tmp_path / "begun")))
    command = [sys.executable, "-m", "flask", "--app", str(module), "provisioning", "worker", "--grace"]
    return subprocess.Popen([*command, "0.2" if seconds > 5 else "20"], stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_process_ends_with_grace(tmp_path: Path, database_url: str, number: signal.Signals) -> None:
    host = StepHost(database_url)
    host.provisioning.step("slow")(lambda: None)
    partner = host.open()
    tenant = partner.create()
    process = start_worker(tmp_path, database_url, 0.5)
    assert wait_for((tmp_path / "begun").exists)
    process.send_signal(number)
    _, output = process.communicate(timeout=30)

    assert process.returncode == 0, output
    assert read_tenant_status(partner, tenant) == "active"
    host.close()


@pytest.mark.slow
def test_work_beyond_the_grace_period_is_left_to_other_workers(tmp_path: Path, database_url: str) -> None:
    host = StepHost(database_url)
    host.provisioning.step("slow")(lambda: None)
    partner = host.open()
    tenant = partner.create()
    process = start_worker(tmp_path, database_url, 60)
    assert wait_for((tmp_path / "begun").exists)
    process.send_signal(signal.SIGTERM)
    _, output = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "1 steps were not finished. Another worker will run them again." in output
    host.work(120)

    assert read_tenant_status(partner, tenant) == "active"
    host.close()


def test_the_command_line_shows_retries_and_cancels(database_url: str) -> None:
    host = StepHost(database_url)
    host.step("one", retries=0)
    host.broken["one"] = RuntimeError("boom")
    partner = host.open()
    tenant: dict[str, Any] = partner.create()
    host.work()
    shown = run_command(host.app, "tenants", "provisioning", tenant["tenant"])
    assert shown.status == 0
    assert "state        failed" in shown.out
    assert "one   undone  1         -                RuntimeError" in shown.out
    assert shown.out.endswith("\n\none: RuntimeError: boom\n")
    host.broken.clear()
    assert '"state":"running"' in run_command(host.app, "tenants", "retry", tenant["tenant"], "--json").out
    assert '"state":"cancelled"' in run_command(host.app, "tenants", "cancel", tenant["tenant"], "--json").out
    assert fetch_rows(host.app, "runs")[0]["round"] == 2
    strange = run_command(host.app, "tenants", "retry", "01930000-0000-7000-8000-000000000000")
    assert (strange.status, "Tenant not found" in strange.err) == (1, True)
    assert Caller(host.app)("GET", "/tenants").status_code == 200
    host.close()


class Endless:
    """Work that runs until it is stopped, and never runs out."""

    lease, slots = 30.0, 1

    def __init__(self) -> None:
        self.begun = self.done = 0
        self.stopped = threading.Event()

    def claim(self, limit: int) -> list[int]:
        assert not self.stopped.is_set()
        self.begun += 1
        return [self.begun]

    def run(self, piece: int) -> None:
        assert self.stopped.wait(20)
        for _ in range(100_000):
            self.done += 1

    def stop(self) -> None:
        self.stopped.set()

    def timeout(self, piece: int) -> float:
        return 30.0

    def renew(self, pieces: Any) -> None: ...
    def expire(self, piece: int) -> None: ...


def test_drain_with_a_time_limit_finishes_its_work_and_reports_more() -> None:
    work = Endless()

    assert Worker(work).drain(0.1) is True
    assert (work.begun, work.done) == (1, 100_000)


def test_drain_reports_an_empty_queue(database_url: str) -> None:
    host = StepHost(database_url)
    host.step("one")
    host.open().create()

    assert host.worker().drain(60) is False
    assert host.done == ["one"]
    host.close()


class Held:
    """One piece of work, which lasts until the test ends it; `renewed` counts the renewals of its claim."""

    lease, slots = 30.0, 1

    def __init__(self) -> None:
        self.left, self.renewed, self.expired = ["piece"], 0, 0
        self.let_go = threading.Event()

    def claim(self, limit: int) -> list[str]:
        claimed, self.left = self.left[:limit], self.left[limit:]
        return claimed

    def renew(self, pieces: Iterable[str]) -> None:
        assert list(pieces) == ["piece"]
        self.renewed += 1

    def timeout(self, piece: str) -> float:
        return 100.0

    def run(self, piece: str) -> None:
        self.let_go.wait(60)

    def expire(self, piece: str) -> None:
        self.expired += 1

    def stop(self) -> None:
        pass


def test_claim_is_renewed_before_a_third_of_its_lease(clock: Clock) -> None:
    """Others may take what is not kept for a whole lease: two renewals may fail before that."""
    work, turns = Held(), itertools.count()
    seen = [0]

    def lookout() -> bool:
        seen[0] = next(turns)
        return True

    worker = Worker(work, is_work_due=lookout, poll=0.01, monotonic=clock)
    running = threading.Thread(target=worker.run, daemon=True)
    running.start()

    def turn() -> None:
        """Let the worker look after its work, at the time that it is now."""
        after = seen[0] + 2
        assert wait_for(lambda: seen[0] >= after)

    assert wait_for(lambda: work.left == [])
    for renewals in range(1, 5):
        clock.now += 9.99
        turn()
        assert work.renewed == renewals - 1
        clock.now += 0.02
        turn()
        assert (work.renewed, work.expired) == (renewals, 0)
    clock.now += 60
    turn()
    assert (work.renewed, work.expired) == (4, 1)
    work.let_go.set()
    worker.stop()
    running.join(30)


def test_stop_waits_only_for_the_current_work() -> None:
    """A host's process that ends would else wait for its whole grace, and the next worker for the next poll."""
    work = Held()
    worker = Worker(work, poll=3600)
    running = threading.Thread(target=worker.run, daemon=True)
    running.start()
    assert wait_for(lambda: work.left == [])
    worker.stop()
    running.join(30)
    assert worker.finish(0.1) == 1

    left: list[int] = []
    finishing = threading.Thread(target=lambda: left.append(worker.finish(600)), daemon=True)
    finishing.start()
    threading.Timer(0.1, work.let_go.set).start()
    finishing.join(30)

    assert left == [0]


@pytest.fixture
def clock() -> Clock:
    return Clock()
