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
from tests import brokers
from tests.brokers import Broker
from tests.celery_hosts import CeleryHouse
from tests.servers import at_once
from tests.steps import progress, states, status
from tests.waiting import eventually
from tests.webhooks import LOCAL, receiving
from tests.witness import DAY, one, rows

Make = Callable[..., CeleryHouse]


@pytest.fixture
def broker(database: str) -> Iterator[Broker]:
    """A part of a broker, of this test's own: Redis beside SQLite, RabbitMQ beside PostgreSQL."""
    with brokers.part_of("redis" if database == "sqlite" else "rabbitmq") as part:
        yield part


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Makes hosts."""
    made: list[CeleryHouse] = []

    def house(broker: Broker, **config: Any) -> CeleryHouse:
        made.append(CeleryHouse(database_url, broker, **config))
        return made[-1]

    yield house
    for one_house in made:
        one_house.close()


@pytest.fixture
def house(make: Make, broker: Broker) -> CeleryHouse:
    return make(broker)


def message(tenant: dict[str, Any], partner: str, *steps: str) -> tuple[str, list[list[str]]]:
    """What a message about these steps says."""
    return "provisioning", [[partner, tenant["tenant"], "provisioning", step] for step in steps]


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_celery_does_the_steps_in_their_order(make: Make, kind: str) -> None:
    with brokers.part_of(kind) as part:
        house = make(part)
        house.step("schema")
        house.step("bucket", after=["schema"])
        house.step("mail", after=["bucket"])
        partner = house.open()
        with house.at_work():
            tenant = partner.create()
            assert eventually(lambda: status(partner, tenant) == "active")

    assert house.done == ["schema", "bucket", "mail"]


def test_the_tasks_are_in_the_hosts_own_celery_app(house: CeleryHouse) -> None:
    house.provisioning.step("look")(lambda: house.done.append(current_app.name))
    partner = house.open()
    with house.at_work():
        tenant = partner.create()
        assert eventually(lambda: status(partner, tenant) == "active")

    ours = sorted(name for name in house.celery.tasks if name.startswith("flask_tenant_provisioning"))
    assert ours == [f"flask_tenant_provisioning.{name}" for name in ("bulk", "chores", "deliver", "sweep", "work")]
    assert house.done == ["host"]


def test_a_task_is_acknowledged_once_it_is_done(house: CeleryHouse) -> None:
    house.open()
    for name in ("work", "deliver", "bulk", "sweep", "chores"):
        task = house.celery.tasks[f"flask_tenant_provisioning.{name}"]
        assert (task.acks_late, task.reject_on_worker_lost, task.ignore_result) == (True, True, True)


def test_messages_carry_ids_alone_a_few_to_each(house: CeleryHouse) -> None:
    names = [f"step-{number:02}" for number in range(45)]
    for name in names:
        house.step(name)
    partner = house.open()
    tenant = partner.create(client_name="Secret Corp")

    found = brokers.waiting(house.broker, 3)

    assert [len(body[0][1]) for _, body in found] == [20, 20, 5]
    assert {body[0][0] for _, body in found} == {"provisioning"}
    sent = [key for _, body in found for key in body[0][1]]
    assert sent == message(tenant, partner.partner, *names)[1]
    assert {(headers["eta"], headers["ignore_result"]) for headers, _ in found} == {(None, True)}
    assert "Secret Corp" not in json.dumps(found, default=str)


def test_what_a_commit_leaves_undone_sends_nothing(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    body = {"client_name": "Example Corp", "email": "admin@example.com"}
    assert partner("POST", "/tenants?validate_only=true", json=body).status_code == 201
    assert partner("POST", "/tenants", json={"client_name": "Example Corp"}).status_code == 400

    assert brokers.waiting(house.broker) == []


def test_the_steps_of_a_message_run_side_by_side(house: CeleryHouse) -> None:
    meeting = threading.Barrier(3, timeout=20)
    for name in ("left", "middle", "right"):
        house.provisioning.step(name)(lambda: house.done.append(meeting.wait()))
    partner = house.open()
    with house.at_work():
        tenant = partner.create()
        assert eventually(lambda: status(partner, tenant) == "active")

    assert sorted(house.done) == [0, 1, 2]


def test_the_same_message_at_once_and_again_does_nothing_twice(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    sent = message(tenant, partner.partner, "one")
    at_once(4, lambda _: house.apply("work", *sent))
    house.apply("work", *sent)

    assert house.done == ["one"]
    assert progress(partner, tenant)["steps"][0]["attempts"] == 1


def test_a_message_about_what_is_gone_or_never_was_does_nothing(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    house.apply("work", *message(tenant, partner.partner, "two"))
    house.apply("work", *message(tenant, "somebody else", "one"))
    house.apply("work", *message({"tenant": "0" * 8}, partner.partner, "one"))

    assert house.done == []
    assert states(partner, tenant) == {"one": "waiting"}


def test_a_message_of_another_shape_fails_and_harms_nothing(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    for keys in ([["one"]], [7], None):
        assert house.celery.tasks["flask_tenant_provisioning.work"].apply(("provisioning", keys)).failed()

    assert states(partner, tenant) == {"one": "waiting"}


def test_a_claim_is_kept_while_its_step_runs(make: Make, broker: Broker) -> None:
    house = make(broker, PROVISIONING_WORKER_LEASE_SECONDS=1)
    begun, release = threading.Event(), threading.Event()

    @house.provisioning.step("slow")
    def slow() -> None:
        begun.set()
        assert release.wait(30)

    partner = house.open()
    with house.at_work():
        tenant = partner.create()
        assert begun.wait(20)
        for _ in range(3):
            before = due_at(house)
            house.clock.now += 0.9
            assert eventually(lambda before=before: due_at(house) > before)  # type: ignore[misc]
        release.set()
        assert eventually(lambda: status(partner, tenant) == "active")

    assert progress(partner, tenant)["steps"][0]["attempts"] == 1


def due_at(house: CeleryHouse) -> str:
    """When somebody has to turn to the only step there is."""
    return str(rows(house.app, "steps")[0]["due_at"])


def test_a_step_past_its_timeout_is_abandoned_and_tried_again(house: CeleryHouse) -> None:
    release = threading.Event()

    @house.provisioning.step("slow", timeout=0.05, backoff=5)
    def slow(context: StepContext) -> None:
        if context.attempt == 1:
            release.wait(20)
        house.done.append(context.attempt)

    partner = house.open()
    tenant = partner.create()
    house.apply("work", *message(tenant, partner.partner, "slow"))
    assert progress(partner, tenant)["steps"][0]["error"]["class"] == "TimeoutError"
    with house.at_work():
        house.clock.now += 10
        house.send("sweep")
        assert eventually(lambda: status(partner, tenant) == "active")
    release.set()

    assert progress(partner, tenant)["steps"][0]["attempts"] == 2


def test_a_step_that_failed_is_tried_again_by_the_sweep_once_its_time_has_come(house: CeleryHouse) -> None:
    house.step("bucket", backoff=10)
    house.broken["bucket"] = RuntimeError("boom")
    partner = house.open()
    with house.at_work():
        tenant = partner.create()
        assert eventually(lambda: progress(partner, tenant)["steps"][0]["error"] is not None)
        house.broken.clear()
        house.clock.now += 7
        house.apply("sweep", "provisioning")
        assert brokers.waiting(house.broker) == []
        house.clock.now += 6
        house.send("sweep")
        assert eventually(lambda: status(partner, tenant) == "active")

    assert house.done == ["bucket fails", "bucket"]


def test_where_a_step_gives_up_all_is_undone_in_reverse(house: CeleryHouse) -> None:
    for name, after in (("one", []), ("two", ["one"]), ("three", ["two"])):
        house.step(name, after=after, retries=0)
    house.broken["three"] = RuntimeError("boom")
    partner = house.open()
    with house.at_work():
        tenant = partner.create()
        assert eventually(lambda: progress(partner, tenant)["state"] == "failed")

    assert house.done == ["one", "two", "three fails", "undo three", "undo two", "undo one"]
    assert status(partner, tenant) == "failed"


def test_the_sweep_finds_what_lost_messages_meant(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    made = [partner.create() for _ in range(3)]
    assert len(brokers.waiting(house.broker, 3)) == 3
    with house.at_work():
        house.clock.now += OVERDUE_SECONDS + 1
        house.send("sweep")
        assert eventually(lambda: {status(partner, tenant) for tenant in made} == {"active"})

    assert house.done == ["one"] * 3


def test_the_sweep_sends_nothing_twice_that_is_on_its_way(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    partner.create()
    house.clock.now += OVERDUE_SECONDS - 1
    house.apply("sweep", "provisioning")
    assert len(brokers.waiting(house.broker, 1)) == 1
    house.clock.now += 2
    house.apply("sweep", "provisioning")

    assert len(brokers.waiting(house.broker, 1)) == 1


def test_the_sweep_finds_what_a_dead_worker_left(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    assert len(brokers.waiting(house.broker, 1)) == 1
    assert len(house.worker()._works[0].claim(5)) == 1
    with house.at_work():
        house.clock.now += 29
        house.apply("sweep", "provisioning")
        assert brokers.waiting(house.broker) == []
        house.clock.now += 2
        house.send("sweep")
        assert eventually(lambda: status(partner, tenant) == "active")

    assert progress(partner, tenant)["steps"][0]["attempts"] == 2


def test_each_of_two_mounts_sends_for_itself(house: CeleryHouse, tmp_path: Path) -> None:
    house.step("one")
    other = TenantProvisioning(name="eu", url_prefix="/eu", clock=house.clock)
    other.step("two")(lambda: house.done.append("two"))
    other.init_app(house.app, f"sqlite:///{tmp_path}/eu.sqlite3")
    partner = house.open()
    with house.at_work():
        mine = partner.create()
        body = {"client_name": "Example Corp", "email": "admin@example.com"}
        headers = {"Authorization": f"Bearer {partner.token}"}
        made = partner.client.post("/eu/tenants", json=body, headers=headers)
        assert made.status_code == 201
        path = made.headers["Location"]
        assert eventually(lambda: status(partner, mine) == "active")
        assert eventually(lambda: partner.client.get(path, headers=headers).get_json()["status"] == "active")
    house.app.extensions["tenant_provisioning"]["eu"].storage.engine.dispose()

    assert sorted(house.done) == ["one", "two"]


def test_the_chores_end_what_is_past_its_retention(house: CeleryHouse) -> None:
    house.step("drop", phase="deprovisioning")
    partner = house.open()
    tenant = partner.create()
    partner("DELETE", one(tenant))
    with house.at_work():
        house.clock.now += 31 * DAY
        house.send("chores")
        assert eventually(lambda: rows(house.app, "tenants") == [])

    assert house.done == ["drop"]


def test_the_sweep_publishes_and_has_webhooks_delivered(house: CeleryHouse) -> None:
    house.app.config.update(LOCAL)
    partner = house.open()
    with receiving() as receiver, house.at_work():
        secret = partner("POST", "/webhooks", json={"url": receiver.url}).get_json()["secret"]
        tenant = partner.create()
        house.send("sweep")
        assert receiver.wait_for(1, 20)
        ((headers, body),) = receiver.requests
        assert verify(body, headers, secret, now=house.clock)["tenant"] == tenant["tenant"]
        assert eventually(lambda: [row["state"] for row in rows(house.app, "deliveries")] == ["succeeded"])


@pytest.mark.parametrize("is_due", [True, False])
def test_the_sweep_sends_the_task_of_a_new_kind_that_is_due(
    house: CeleryHouse, monkeypatch: pytest.MonkeyPatch, is_due: bool
) -> None:
    name = "host.refunds"
    condition = true() if is_due else false()
    refunds = kinds.BULK._replace(name="refunds", is_due=lambda _storage: condition, task=name)
    monkeypatch.setattr(kinds, "WORK_KINDS", (*kinds.WORK_KINDS, refunds))
    house.open()

    @house.celery.task(name=name)
    def pay_back(mount: str) -> None:
        house.done.append(mount)

    house.apply("sweep", "provisioning")

    sent = [headers["task"] for headers, _ in brokers.waiting(house.broker, int(is_due))]
    assert sent == ([name] if is_due else [])


def test_the_beat_sends_the_sweep_and_the_chores(house: CeleryHouse) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    assert len(brokers.waiting(house.broker, 1)) == 1
    house.clock.now += OVERDUE_SECONDS + 1
    house.celery.conf.beat_schedule = beat_schedule(every=0.2)
    beat = Service(house.celery, max_interval=1, scheduler_cls=Scheduler)
    thread = threading.Thread(target=beat.start)
    with house.at_work():
        thread.start()
        assert eventually(lambda: status(partner, tenant) == "active")
        beat.stop(wait=True)
    thread.join(20)

    kept = {name: entry["options"] for name, entry in house.celery.conf.beat_schedule.items()}
    assert kept == {f"flask_tenant_provisioning.{name}:provisioning": {"expires": 60} for name in ("sweep", "chores")}
