"""Celery tasks run for the tenant in whose context they were sent, and never for that of the task before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, chain
from celery.app.trace import build_tracer

from flask_tenant_provisioning import TenantProvisioning, current_tenant
from flask_tenant_provisioning.isolation import Header, TenantUnknown
from flask_tenant_provisioning.isolation.context import get_tenant_id
from tests.support.isolation import ABSENT_ID, add_pages
from tests.support.waiting import wait_for
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost

pytestmark = pytest.mark.one_database("a broker is what differs")


class TaskHost(CeleryHost):
    """A host whose tasks note their tenants."""

    def __init__(self, database_url: str, broker: Broker, **config: Any) -> None:
        super().__init__(database_url, broker, PROVISIONING_ENGINE="external", **config)
        #: What each task saw: its name, and its tenant.
        self.seen: list[tuple[str, str | None]] = []
        self.provisioning.isolation.resolve_by(Header("X-Tenant-ID"))

    def open(self, *roles: str) -> Any:
        """Mount the API, make the Celery app with its tasks, and return a partner."""
        partner = super().open(*roles)
        add_pages(self.app)
        self.provisioning.isolation.carry(self.celery)
        self.provisioning.isolation.carry(self.celery)

        @self.celery.task(name="note", shared=False)
        def note(label: str) -> None:
            self.seen.append((label, get_tenant_id()))

        @self.celery.task(name="fan_out", shared=False)
        def fan_out(label: str) -> None:
            self.celery.tasks["note"].delay(f"{label}, sent by a task")

        @self.celery.task(name="retry", shared=False, bind=True, max_retries=1, default_retry_delay=0)
        def retry(task: Any, label: str) -> None:
            self.seen.append((f"{label} {task.request.retries}", get_tenant_id()))
            if task.request.retries == 0:
                raise task.retry()

        @self.celery.task(name="fail", shared=False)
        def fail() -> None:
            self.provisioning.tenant_context(str(current_tenant.id)).__enter__()  # and never left
            raise ZeroDivisionError

        return partner

    def send_pending(self) -> None:
        """Send nothing: its API's work is done by no worker."""

    def send_as(self, tenant: str | None, name: str, *arguments: str) -> None:
        """Send a task in the context of a tenant, or in none."""
        with self.app.app_context():
            if tenant is None:
                self.celery.tasks[name].delay(*arguments)
                return
            with self.provisioning.tenant_context(tenant):
                self.celery.tasks[name].delay(*arguments)

    def wait_for(self, count: int) -> set[tuple[str, str | None]]:
        """Wait until as many tasks have run, and return what they saw."""
        assert wait_for(lambda: len(self.seen) >= count)
        return {*self.seen}


Make = Callable[[Broker], TaskHost]


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes hosts."""
    hosts: list[TaskHost] = []

    def build(broker: Broker) -> TaskHost:
        hosts.append(TaskHost(database_url, broker))
        return hosts[-1]

    yield build
    for host in hosts:
        host.close()


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_a_task_runs_for_the_tenant_that_sent_it_and_for_no_other(make: Make, kind: str) -> None:
    with brokers.open_broker(kind) as broker:
        host = make(broker)
        partner = host.open()
        one, other = partner.create()["tenant"], partner.create()["tenant"]
        expected: set[tuple[str, str | None]] = set()
        with host.run_worker():
            for number, tenant in enumerate([one, None, other, None, one] * 6):
                host.send_as(tenant, "note", f"{number}")
                expected.add((f"{number}", tenant))
                if number % 5 == 0:
                    host.send_as(tenant, "fail") if tenant else None
            assert host.wait_for(len(expected)) == expected
            host.seen.clear()
            host.send_as(one, "fan_out", "one")
            host.send_as(None, "fan_out", "none")
            host.send_as(other, "retry", "other")
            host.send_as(None, "retry", "none")
            assert host.wait_for(6) == {
                ("one, sent by a task", one),
                ("none, sent by a task", None),
                ("other 0", other),
                ("other 1", other),
                ("none 0", None),
                ("none 1", None),
            }
            host.seen.clear()
            note = host.celery.tasks["note"]
            with host.app.app_context(), host.provisioning.tenant_context(other):
                chain(note.si("first"), note.si("second")).delay()
            assert host.wait_for(2) == {("first", other), ("second", other)}


@pytest.fixture
def host(make: Make) -> TaskHost:
    """A host with a Celery app whose messages go nowhere: its tasks run where they are sent."""
    new_host = make(Broker("memory", "memory://", "memory"))
    new_host.app.config["CELERY"]["task_always_eager"] = True
    return new_host


def test_a_task_that_runs_in_place_has_its_senders_tenant(host: TaskHost) -> None:
    @host.app.get("/send")
    def send() -> str:
        host.celery.tasks["note"].delay("from a request")
        return current_tenant.id if current_tenant else "nobody"

    @host.app.get("/send/<tenant>")
    def send_for(tenant: str) -> str:
        with host.provisioning.tenant_context(tenant):
            host.celery.tasks["note"].delay("from a block of a request")
        return ""

    tenant = host.open().create()["tenant"]
    host.app.test_client().get(f"/send/{tenant}")
    assert host.seen.pop() == ("from a block of a request", tenant)
    assert host.app.test_client().get("/send", headers={"X-Tenant-ID": tenant}).text == tenant
    host.send_as(tenant, "note", "from a block")
    host.send_as(None, "note", "from nowhere")
    assert host.seen == [("from a request", tenant), ("from a block", tenant), ("from nowhere", None)]
    assert host.app.test_client().get("/send").text == "nobody"


def run_message(host: TaskHost, headers: dict[str, Any], name: str = "note") -> str | None:
    """Run a task in this thread as a worker does that has got a message with these headers; return its tenant."""
    message = {"id": "1", "task": name, "is_eager": False, "delivery_info": {}, "args": ["x"], "kwargs": {}}
    build_tracer(name, host.celery.tasks[name], app=host.celery)("1", ["x"], {}, {**message, **headers})
    return host.seen.pop()[1]


@pytest.mark.parametrize(
    "value", [None, "a text", 7, [], {"provisioning": 7}, {"provisioning": None}, {"other": "x"}, {}]
)
def test_a_malformed_header_is_no_tenant(host: TaskHost, value: Any) -> None:
    tenant = host.open().create()["tenant"]
    good = {"flask_tenant_provisioning_tenants": {"provisioning": tenant}}
    assert run_message(host, good) == tenant
    assert run_message(host, {"flask_tenant_provisioning_tenants": value}) is None
    assert run_message(host, good) == tenant
    assert run_message(host, {}) is None
    assert get_tenant_id() is None


def test_a_task_keeps_its_tenant_where_two_mounts_carry(host: TaskHost) -> None:
    tenant = host.open().create()["tenant"]
    TenantProvisioning(name="eu").isolation.carry(host.celery)
    assert run_message(host, {"flask_tenant_provisioning_tenants": {"provisioning": tenant}}) == tenant
    assert run_message(host, {"flask_tenant_provisioning_tenants": {"eu": ABSENT_ID}}) == ABSENT_ID
    assert run_message(host, {}) is None
    host.send_as(tenant, "note", "in place")
    assert host.seen == [("in place", tenant)]
    assert get_tenant_id() is None


def test_the_tasks_of_another_celery_app_are_left_alone(host: TaskHost) -> None:
    tenant = host.open().create()["tenant"]
    other = Celery("other")
    seen = []

    @other.task(name="elsewhere", shared=False)
    def elsewhere() -> None:
        seen.append(get_tenant_id())

    with host.app.app_context(), host.provisioning.tenant_context(tenant):
        elsewhere.apply()
    assert seen == [tenant]  # it ran in place, in the same block
    elsewhere.apply()
    assert seen == [tenant, None]
    other.close()


def test_a_task_of_a_tenant_that_is_gone_finds_none(host: TaskHost) -> None:
    found = []
    host.open()

    @host.celery.task(name="look", shared=False)
    def look(label: str) -> None:
        try:
            found.append(current_tenant.id)
        except TenantUnknown as refusal:
            found.append(type(refusal).__name__)
        host.seen.append((label, get_tenant_id()))

    run_message(host, {"flask_tenant_provisioning_tenants": {"provisioning": ABSENT_ID}}, "look")
    assert found == ["TenantUnknown"]
    assert get_tenant_id() is None
