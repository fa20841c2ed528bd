"""Steps in the host's own Celery app: messages bring ids to its workers, and what is lost on the way is found."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.beat import Scheduler, Service
from flask import current_app
from sqlalchemy import false, true

from flask_tenant_provisioning import StepContext, TenantProvisioning
from flask_tenant_provisioning.engine.celery import beat_schedule
from flask_tenant_provisioning.webhooks import verify
from flask_tenant_provisioning.workers import kinds
from flask_tenant_provisioning.workers.tasks import OVERDUE_SECONDS
from tests.support.callers import tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_rows
from tests.support.servers import run_concurrently
from tests.support.waiting import wait_for
from tests.support.webhooks.plain_receiver import LOCAL_WEBHOOKS, open_receiver
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker
from tests.support.workers.celery_hosts import CeleryHost
from tests.support.workers.step_hosts import read_provisioning, read_step_states, read_tenant_status

Make = Callable[..., CeleryHost]


@pytest.fixture
def broker(database: str) -> Iterator[Broker]:
    """A part of a broker, of this test's own: Redis beside SQLite, RabbitMQ beside PostgreSQL."""
    with brokers.open_broker("redis" if database == "sqlite" else "rabbitmq") as part:
        yield part


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes hosts."""
    hosts: list[CeleryHost] = []

    def host(broker: Broker, **config: Any) -> CeleryHost:
        hosts.append(CeleryHost(database_url, broker, **config))
        return hosts[-1]

    yield host
    for one_house in hosts:
        one_house.close()


@pytest.fixture
def host(make: Make, broker: Broker) -> CeleryHost:
    return make(broker)


def message(tenant: dict[str, Any], partner: str, *steps: str) -> tuple[str, list[list[str]]]:
    """Return a message about these steps."""
    return "provisioning", [[partner, tenant["tenant"], "provisioning", step] for step in steps]


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_celery_does_the_steps_in_their_order(make: Make, kind: str) -> None:
    with brokers.open_broker(kind) as part:
        host = make(part)
        host.step("schema")
        host.step("bucket", after=["schema"])
        host.step("mail", after=["bucket"])
        partner = host.open()
        with host.run_worker():
            tenant = partner.create()
            assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert host.done == ["schema", "bucket", "mail"]


def test_the_tasks_are_in_the_hosts_own_celery_app(host: CeleryHost) -> None:
    host.provisioning.step("look")(lambda: host.done.append(current_app.name))
    partner = host.open()
    with host.run_worker():
        tenant = partner.create()
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    ours = sorted(name for name in host.celery.tasks if name.startswith("flask_tenant_provisioning"))
    names = ("bulk", "chores", "deliver", "invite", "sweep", "work")
    assert ours == [f"flask_tenant_provisioning.{name}" for name in names]
    assert host.done == ["host"]


def test_celery_sends_an_invitation_when_the_steps_have_succeeded(host: CeleryHost) -> None:
    host.provisioning.step("look")(lambda: host.done.append("step"))
    host.provisioning.invite()(lambda admin: host.done.append(admin.email))
    partner = host.open()
    with host.run_worker():
        tenant = partner.create(admin={"email": "jo@example.com"})
        path = f"/tenants/{tenant['tenant']}/invitations"
        assert wait_for(lambda: partner("GET", path).get_json()["items"][0]["state"] == "sent")
    assert host.done == ["step", "jo@example.com"]


def test_tasks_are_acknowledged_late(host: CeleryHost) -> None:
    host.open()
    for name in ("work", "deliver", "bulk", "invite", "sweep", "chores"):
        task = host.celery.tasks[f"flask_tenant_provisioning.{name}"]
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)


def test_messages_carry_ids_alone_a_few_to_each(host: CeleryHost) -> None:
    names = [f"step-{number:02}" for number in range(45)]
    for name in names:
        host.step(name)
    partner = host.open()
    tenant = partner.create(client_name="Secret Corp")

    messages = brokers.take_messages(host.broker, 3)

    assert [len(body[0][1]) for _, body in messages] == [20, 20, 5]
    assert {body[0][0] for _, body in messages} == {"provisioning"}
    sent = [key for _, body in messages for key in body[0][1]]
    assert sent == message(tenant, partner.partner, *names)[1]
    assert {(headers["eta"], headers["ignore_result"]) for headers, _ in messages} == {(None, True)}
    assert "Secret Corp" not in json.dumps(messages, default=str)


def test_rolled_back_writes_send_no_message(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    assert partner("POST", "/tenants?validate_only=true", json=body).status_code == 201
    assert partner("POST", "/tenants", json={"client_name": "Example Corp"}).status_code == 400

    assert brokers.take_messages(host.broker) == []


def test_each_kind_of_due_work_sends_its_own_task(host: CeleryHost) -> None:
    host.open()
    step, endpoint, job = ("steps", "acme", "1", "2", "3"), ("deliveries", "acme", "1"), ("bulk jobs", "acme", "1")
    host.mount.storage.wake_workers([job, endpoint, step, endpoint, ("refunds", "acme", "1", "2", "3")])

    sent = {headers["task"]: body[0] for headers, body in brokers.take_messages(host.broker, 3)}
    assert sent == {
        "flask_tenant_provisioning.work": ["provisioning", [["acme", "1", "2", "3"]]],
        "flask_tenant_provisioning.deliver": ["provisioning"],
        "flask_tenant_provisioning.bulk": ["provisioning"],
    }


def test_the_steps_of_a_message_run_side_by_side(host: CeleryHost) -> None:
    meeting = threading.Barrier(3, timeout=20)
    for name in ("left", "middle", "right"):
        host.provisioning.step(name)(lambda: host.done.append(meeting.wait()))
    partner = host.open()
    with host.run_worker():
        tenant = partner.create()
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert sorted(host.done) == [0, 1, 2]


def test_the_same_message_at_once_and_again_does_nothing_twice(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    sent = message(tenant, partner.partner, "one")
    run_concurrently(4, lambda _: host.apply("work", *sent))
    host.apply("work", *sent)

    assert host.done == ["one"]
    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 1


def test_message_about_an_absent_step_does_nothing(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    host.apply("work", *message(tenant, partner.partner, "two"))
    host.apply("work", *message(tenant, "somebody else", "one"))
    host.apply("work", *message({"tenant": "0" * 8}, partner.partner, "one"))

    assert host.done == []
    assert read_step_states(partner, tenant) == {"one": "waiting"}


def test_a_message_of_another_shape_fails_and_harms_nothing(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    for keys in ([["one"]], [7], None):
        assert host.celery.tasks["flask_tenant_provisioning.work"].apply(("provisioning", keys)).failed()

    assert read_step_states(partner, tenant) == {"one": "waiting"}


def test_a_claim_is_kept_while_its_step_runs(make: Make, broker: Broker) -> None:
    host = make(broker, PROVISIONING_WORKER_LEASE_SECONDS=1)
    started, release = threading.Event(), threading.Event()

    @host.provisioning.step("slow")
    def slow() -> None:
        started.set()
        assert release.wait(30)

    partner = host.open()
    with host.run_worker():
        tenant = partner.create()
        assert started.wait(20)
        for _ in range(3):
            before = get_due_time(host)
            host.clock.now += 0.9
            assert wait_for(lambda before=before: get_due_time(host) > before)  # type: ignore[misc]
        release.set()
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 1


def get_due_time(host: CeleryHost) -> str:
    """Return the due time of the only step."""
    return str(fetch_rows(host.app, "steps")[0]["due_at"])


def test_a_step_past_its_timeout_is_abandoned_and_tried_again(host: CeleryHost) -> None:
    release = threading.Event()

    @host.provisioning.step("slow", timeout=2, backoff=5)
    def slow(context: StepContext) -> None:
        if context.attempt == 1:
            release.wait(20)
        host.done.append(context.attempt)

    partner = host.open()
    tenant = partner.create()
    host.apply("work", *message(tenant, partner.partner, "slow"))
    assert read_provisioning(partner, tenant)["steps"][0]["error"]["class"] == "TimeoutError"
    with host.run_worker():
        host.clock.now += 10
        host.send("sweep")
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")
    release.set()

    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 2


def test_a_step_that_failed_is_tried_again_by_the_sweep_once_its_time_has_come(host: CeleryHost) -> None:
    host.step("bucket", backoff=10)
    host.broken["bucket"] = RuntimeError("boom")
    partner = host.open()
    with host.run_worker():
        tenant = partner.create()
        assert wait_for(lambda: read_provisioning(partner, tenant)["steps"][0]["error"] is not None)
        host.broken.clear()
        host.clock.now += 7
        host.apply("sweep", "provisioning")
        assert brokers.take_messages(host.broker) == []
        host.clock.now += 6
        host.send("sweep")
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert host.done == ["bucket fails", "bucket"]


def test_failed_step_undoes_all_in_reverse(host: CeleryHost) -> None:
    for name, after in (("one", []), ("two", ["one"]), ("three", ["two"])):
        host.step(name, after=after, retries=0)
    host.broken["three"] = RuntimeError("boom")
    partner = host.open()
    with host.run_worker():
        tenant = partner.create()
        assert wait_for(lambda: read_provisioning(partner, tenant)["state"] == "failed")

    assert host.done == ["one", "two", "three fails", "undo three", "undo two", "undo one"]
    assert read_tenant_status(partner, tenant) == "failed"


def test_sweep_does_the_work_of_lost_messages(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenants = [partner.create() for _ in range(3)]
    assert len(brokers.take_messages(host.broker, 3)) == 3
    with host.run_worker():
        host.clock.now += OVERDUE_SECONDS + 1
        host.send("sweep")
        assert wait_for(lambda: {read_tenant_status(partner, tenant) for tenant in tenants} == {"active"})

    assert host.done == ["one"] * 3


def test_the_sweep_sends_nothing_twice_that_is_on_its_way(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    partner.create()
    host.clock.now += OVERDUE_SECONDS - 1
    host.apply("sweep", "provisioning")
    assert len(brokers.take_messages(host.broker, 1)) == 1
    host.clock.now += 2
    host.apply("sweep", "provisioning")

    assert len(brokers.take_messages(host.broker, 1)) == 1


def test_sweep_resumes_the_work_of_a_dead_worker(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    assert len(brokers.take_messages(host.broker, 1)) == 1
    assert len(host.worker()._works[0].claim(5)) == 1
    with host.run_worker():
        host.clock.now += 29
        host.apply("sweep", "provisioning")
        assert brokers.take_messages(host.broker) == []
        host.clock.now += 2
        host.send("sweep")
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")

    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 2


def test_each_of_two_mounts_sends_for_itself(host: CeleryHost, tmp_path: Path) -> None:
    host.step("one")
    other = TenantProvisioning(name="eu", url_prefix="/eu", clock=host.clock)
    other.step("two")(lambda: host.done.append("two"))
    other.init_app(host.app, f"sqlite:///{tmp_path}/eu.sqlite3")
    partner = host.open()
    with host.run_worker():
        mine = partner.create()
        body = {"client_name": "Example Corp", "email": "admin@example.com"}
        headers = {"Authorization": f"Bearer {partner.token}"}
        created = partner.client.post("/eu/tenants", json=body, headers=headers)
        assert created.status_code == 201
        path = created.headers["Location"]
        assert wait_for(lambda: read_tenant_status(partner, mine) == "active")
        assert wait_for(lambda: partner.client.get(path, headers=headers).get_json()["status"] == "active")
    host.app.extensions["tenant_provisioning"]["eu"].storage.engine.dispose()

    assert sorted(host.done) == ["one", "two"]


def test_maintenance_removes_expired_rows(host: CeleryHost) -> None:
    host.step("drop", phase="deprovisioning")
    partner = host.open()
    tenant = partner.create()
    partner("DELETE", tenant_path(tenant))
    with host.run_worker():
        host.clock.now += 31 * DAY
        host.send("chores")
        assert wait_for(lambda: fetch_rows(host.app, "tenants") == [])

    assert host.done == ["drop"]


def test_the_sweep_publishes_and_has_webhooks_delivered(host: CeleryHost) -> None:
    host.app.config.update(LOCAL_WEBHOOKS)
    partner = host.open()
    with open_receiver() as receiver, host.run_worker():
        secret = partner("POST", "/webhooks", json={"url": receiver.url}).get_json()["secret"]
        tenant = partner.create()
        host.send("sweep")
        assert receiver.wait_for(1, 20)
        ((headers, body),) = receiver.requests
        assert verify(body, headers, secret, now=host.clock)["tenant"] == tenant["tenant"]
        assert wait_for(lambda: [row["state"] for row in fetch_rows(host.app, "deliveries")] == ["succeeded"])


@pytest.mark.parametrize("is_due", [True, False])
def test_the_sweep_sends_the_task_of_a_new_kind_that_is_due(
    host: CeleryHost, monkeypatch: pytest.MonkeyPatch, is_due: bool
) -> None:
    name = "host.refunds"
    condition = true() if is_due else false()
    refunds = kinds.BULK._replace(name="refunds", is_due=lambda _storage: condition, task=name)
    monkeypatch.setattr(kinds, "WORK_KINDS", (*kinds.WORK_KINDS, refunds))
    host.open()

    @host.celery.task(name=name)
    def pay_back(mount: str) -> None:
        host.done.append(mount)

    host.apply("sweep", "provisioning")

    sent = [headers["task"] for headers, _ in brokers.take_messages(host.broker, int(is_due))]
    assert sent == ([name] if is_due else [])


def test_beat_sends_sweep_and_maintenance(host: CeleryHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    assert len(brokers.take_messages(host.broker, 1)) == 1
    host.clock.now += OVERDUE_SECONDS + 1
    host.celery.conf.beat_schedule = beat_schedule(every=0.2)
    beat = Service(host.celery, max_interval=1, scheduler_cls=Scheduler)
    thread = threading.Thread(target=beat.start)
    with host.run_worker():
        thread.start()
        assert wait_for(lambda: read_tenant_status(partner, tenant) == "active")
        beat.stop(wait=True)
    thread.join(20)

    kept = {name: entry["options"] for name, entry in host.celery.conf.beat_schedule.items()}
    assert kept == {f"flask_tenant_provisioning.{name}:provisioning": {"expires": 60} for name in ("sweep", "chores")}
