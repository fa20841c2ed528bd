"""Durable steps: a tenant is active once they have succeeded, and nothing is left where one gives up."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import current_app

from flask_tenant_provisioning import ConfigurationError, StepAbandoned, StepContext, StepFailed, TenantProvisioning
from flask_tenant_provisioning.errors import Conflict
from tests.refusals import refused
from tests.steps import House, progress, states, status
from tests.witness import DAY, everything, kinds, one, rows
from tests.world import EXAMPLE, Caller, problem


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    made = House(database_url)
    yield made
    made.close()


def act(caller: Caller, tenant: dict[str, Any], what: str, **options: Any) -> Any:
    return caller("POST", f"{one(tenant)}/provisioning/{what}", **options)


def test_a_tenant_with_steps_is_active_once_they_have_succeeded(house: House) -> None:
    house.step("schema")
    house.step("bucket", after=["schema"])
    partner = house.open()

    tenant = partner.create()
    assert tenant["status"] == "provisioning"
    assert states(partner, tenant) == {"schema": "waiting", "bucket": "waiting"}
    house.work()

    assert house.done == ["schema", "bucket"]
    assert status(partner, tenant) == "active"
    assert states(partner, tenant) == {"schema": "succeeded", "bucket": "succeeded"}
    assert sorted(kinds(partner, tenant)) == ["tenant.created", "tenant.provisioned"]


def test_a_tenant_without_steps_is_active_at_once(house: House) -> None:
    partner = house.open()
    tenant = partner.create()

    assert tenant["status"] == "active"
    assert progress(partner, tenant) == {
        "tenant": tenant["tenant"],
        "phase": "provisioning",
        "state": "succeeded",
        "round": 1,
        "created_at": tenant["created_at"],
        "finished_at": tenant["created_at"],
        "steps": [],
    }


def test_the_progress_shows_each_step(house: House) -> None:
    house.step("schema")
    house.step("bucket", after=["schema"], retries=3)
    house.broken["bucket"] = StepFailed("The region is full.")
    partner = house.open()
    tenant = partner.create()
    house.work()

    found = progress(partner, tenant)

    schema, bucket = found["steps"]
    assert (found["phase"], found["state"], found["finished_at"]) == ("provisioning", "running", None)
    assert schema == {
        "name": "schema",
        "after": [],
        "state": "succeeded",
        "attempts": 1,
        "undo_attempts": 0,
        "started_at": tenant["created_at"],
        "finished_at": tenant["created_at"],
        "next_attempt_at": None,
        "error": None,
    }
    assert (bucket["after"], bucket["state"], bucket["attempts"]) == (["schema"], "waiting", 1)
    assert bucket["error"] == {"class": "StepFailed", "message": "The region is full."}
    assert bucket["next_attempt_at"] > tenant["created_at"]


def test_what_an_exception_says_is_for_the_operator_alone(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.step("bucket")
    house.broken["bucket"] = RuntimeError("password hunter2 is wrong")
    partner = house.open()
    tenant = partner.create()
    house.work()

    error = progress(partner, tenant)["steps"][0]["error"]

    assert error == {"class": "RuntimeError", "message": "The step failed; the operator's log says why."}
    assert "bucket" in caplog.text


def test_a_step_that_fails_is_tried_again_each_time_after_twice_as_long(house: House) -> None:
    house.step("bucket", retries=2)
    house.broken["bucket"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    for seconds, attempts in ((7, 1), (6, 2), (14, 2), (11, 3)):
        house.work(seconds)
        assert house.done.count("bucket fails") == attempts, seconds

    assert status(partner, tenant) == "failed"


def test_a_step_that_succeeds_later_makes_the_tenant_active(house: House) -> None:
    house.step("bucket")
    house.broken["bucket"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.broken.clear()
    house.work(30)

    assert status(partner, tenant) == "active"
    assert progress(partner, tenant)["steps"][0]["attempts"] == 2
    assert progress(partner, tenant)["steps"][0]["error"] is None


def test_where_a_step_gives_up_all_is_undone_in_reverse_once_each(house: House) -> None:
    house.step("one")
    house.step("two", after=["one"])
    house.step("three", after=["two"], retries=0)
    house.step("four", after=["three"])
    house.broken["three"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()

    assert house.done == ["one", "two", "three fails", "undo three", "undo two", "undo one"]
    assert status(partner, tenant) == "failed"
    assert progress(partner, tenant)["state"] == "failed"
    assert states(partner, tenant) == {"one": "undone", "two": "undone", "three": "undone", "four": "cancelled"}
    assert sorted(kinds(partner, tenant)) == ["tenant.created", "tenant.provisioning_failed"]
    house.work(DAY)
    assert len(house.done) == 6


def test_a_step_can_give_up_at_once(house: House) -> None:
    house.step("bucket", retries=9)
    house.broken["bucket"] = StepFailed("No such region.", retry=False)
    partner = house.open()
    tenant = partner.create()
    house.work()

    assert status(partner, tenant) == "failed"
    assert progress(partner, tenant)["steps"][0]["error"] == {"class": "StepFailed", "message": "No such region."}


def test_an_undo_that_fails_is_tried_again_and_keeps_none_of_the_others(house: House) -> None:
    house.step("one")
    house.step("two", after=["one"], retries=1)
    house.step("three", after=["two"], retries=0)
    house.broken |= {"three": RuntimeError("boom"), "undo two": RuntimeError("boom")}
    partner = house.open()
    tenant = partner.create()
    house.work()
    assert states(partner, tenant) == {"one": "succeeded", "two": "undoing", "three": "undone"}
    house.work(30)

    assert house.done[3:] == ["undo three", "undo two fails", "undo two fails", "undo one"]
    assert states(partner, tenant) == {"one": "undone", "two": "undo_failed", "three": "undone"}
    assert status(partner, tenant) == "failed"


def test_a_retry_after_the_cause_is_mended_ends_active(house: House) -> None:
    house.step("one", undo=False)
    house.step("two", after=["one"])
    house.step("three", after=["two"], retries=0)
    house.broken["three"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.broken.clear()
    house.done.clear()

    answer = act(partner, tenant, "retry")
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"].endswith(f"/tenants/{tenant['tenant']}/provisioning")
    assert (answer.get_json()["state"], answer.get_json()["round"]) == ("running", 2)
    assert status(partner, tenant) == "provisioning"
    house.work()

    assert house.done == ["two", "three"]  # the first was not undone, and stands
    assert status(partner, tenant) == "active"
    assert sorted(kinds(partner, tenant)) == [
        "tenant.created",
        "tenant.provisioned",
        "tenant.provisioning_failed",
        "tenant.updated",
    ]


def test_a_retry_does_at_once_what_would_be_tried_later(house: House) -> None:
    house.step("bucket")
    house.broken["bucket"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.broken.clear()

    assert act(partner, tenant, "retry").status_code == 202
    house.work()

    assert status(partner, tenant) == "active"


def test_a_retry_runs_the_steps_of_today(house: House) -> None:
    house.step("old")
    house.step("bad", retries=0)
    house.broken["bad"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.provisioning.registry._steps["provisioning"].clear()
    house.step("new")
    house.done.clear()

    act(partner, tenant, "retry")
    house.work()

    assert house.done == ["new"]
    assert states(partner, tenant) == {"new": "succeeded"}


def test_a_cancelled_tenant_fails_and_all_is_undone(house: House) -> None:
    house.step("one")
    house.step("two", after=["one"])
    house.broken["two"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()

    answer = act(partner, tenant, "cancel")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "undoing")
    assert act(partner, tenant, "cancel").status_code == 202
    refused(
        act(partner, tenant, "retry"),
        409,
        "invalid-state",
        "Provisioning that is undoing cannot be tried again.",
        provisioning_state="undoing",
    )
    house.work()

    assert house.done == ["one", "two fails", "undo two", "undo one"]
    assert progress(partner, tenant)["state"] == "cancelled"
    assert status(partner, tenant) == "failed"
    house.broken.clear()
    assert act(partner, tenant, "retry").status_code == 202
    house.work()
    assert status(partner, tenant) == "active"


@pytest.mark.parametrize("what", ["retry", "cancel"])
def test_what_is_provisioned_is_neither_tried_again_nor_cancelled(house: House, what: str) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    house.work()

    problem(act(partner, tenant, what), status=409, code="invalid-state", provisioning_state="succeeded")


@pytest.mark.parametrize("what", ["retry", "cancel"])
def test_a_retry_and_a_cancellation_can_be_rehearsed_and_repeated(house: House, what: str) -> None:
    house.step("one")
    house.broken["one"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    before = everything(house.app)

    rehearsed = act(partner, tenant, f"{what}?validate_only=true")
    assert (rehearsed.status_code, rehearsed.headers["X-Validate-Only"]) == (202, "true")
    assert everything(house.app) == before
    first = act(partner, tenant, what, headers={"Idempotency-Key": "k"})
    second = act(partner, tenant, what, headers={"Idempotency-Key": "k"})
    assert second.get_json() == first.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_another_partners_provisioning_is_not_there(house: House) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    stranger = Caller(house.app)

    for answer in (
        stranger("GET", f"{one(tenant)}/provisioning"),
        act(stranger, tenant, "retry"),
        act(stranger, tenant, "cancel"),
    ):
        problem(answer, status=404, code="tenant-not-found")


def test_a_step_finds_what_it_saved_before_it_failed_and_keeps_its_key(house: House) -> None:
    seen: list[tuple[str, int, dict[str, Any], str]] = []

    @house.provisioning.step("bucket", backoff=1)
    def make(tenant: dict[str, Any], context: StepContext) -> None:
        seen.append((context.idempotency_key, context.attempt, dict(context.saved), context.partner))
        context.save({f"part-{context.attempt}": tenant["client_name"]})
        if context.attempt < 3:
            raise RuntimeError("half done")

    @house.provisioning.step("mail", after=["bucket"])
    def mail(context: StepContext) -> None:
        house.done.append(context.saved_by("bucket"))

    partner = house.open()
    tenant = partner.create()
    for _ in range(3):
        house.work(10)

    key, name = f"{tenant['tenant']}:provisioning:bucket:1", "Example Corp"
    assert seen == [
        (key, 1, {}, partner.partner),
        (key, 2, {"part-1": name}, partner.partner),
        (key, 3, {"part-1": name, "part-2": name}, partner.partner),
    ]
    assert house.done == [{"part-1": name, "part-2": name, "part-3": name}]


def test_a_step_that_was_undone_gets_a_new_key_and_an_empty_memory(house: House) -> None:
    keys: list[tuple[str, dict[str, Any]]] = []

    def note(context: StepContext) -> None:
        keys.append((context.idempotency_key.partition(":provisioning:")[2], dict(context.saved)))

    @house.provisioning.step("bucket", undo=note)
    def make(context: StepContext) -> None:
        note(context)
        context.save({"bucket": "b-7"})

    house.step("mail", after=["bucket"], retries=0)
    house.broken["mail"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.broken.clear()
    act(partner, tenant, "retry")
    house.work()

    assert keys == [("bucket:1", {}), ("bucket:1:undo", {"bucket": "b-7"}), ("bucket:2", {})]


@pytest.mark.parametrize("value", [{"x": object()}, {"x": float("nan")}])
def test_a_step_saves_json_and_nothing_else(house: House, value: dict[str, Any]) -> None:
    @house.provisioning.step("bucket")
    def make(context: StepContext) -> None:
        with pytest.raises((TypeError, ValueError)):
            context.save(value)
        house.done.append(context.saved)

    house.open().create()
    house.work()

    assert house.done == [{}]


def test_steps_that_wait_for_no_other_run_side_by_side(house: House) -> None:
    meeting = threading.Barrier(2, timeout=20)

    for name in ("left", "right"):
        house.provisioning.step(name)(lambda: house.done.append(meeting.wait()))
    partner = house.open()
    tenant = partner.create()
    house.work()

    assert sorted(house.done) == [0, 1]
    assert status(partner, tenant) == "active"


def test_a_step_runs_in_the_hosts_application_context(house: House) -> None:
    house.provisioning.step("look")(lambda: house.done.append(current_app.name))
    house.open().create()
    house.work()

    assert house.done == ["host"]


def test_a_step_past_its_timeout_is_abandoned_and_tried_again(house: House) -> None:
    late, waiting = threading.Event(), threading.Event()

    @house.provisioning.step("slow", timeout=0.05, backoff=5)
    def slow(context: StepContext) -> None:
        if context.attempt == 1:
            waiting.wait(20)
            try:
                context.save({"too": "late"})
            except StepAbandoned:
                house.done.append("abandoned")
            late.set()
        else:
            house.done.append(f"attempt {context.attempt}")

    partner = house.open()
    tenant = partner.create()
    house.work()
    assert progress(partner, tenant)["steps"][0]["error"]["class"] == "TimeoutError"
    house.work(10)
    waiting.set()
    assert late.wait(20)

    assert house.done == ["attempt 2", "abandoned"]
    assert status(partner, tenant) == "active"
    assert progress(partner, tenant)["steps"][0]["attempts"] == 2


def test_one_slow_step_delays_no_other_tenants(house: House) -> None:
    began, release, others = threading.Event(), threading.Event(), threading.Semaphore(0)

    @house.provisioning.step("work")
    def work(tenant: dict[str, Any]) -> None:
        if tenant["client_name"] == "slow":
            began.set()
            assert release.wait(600)
        else:
            others.release()

    partner = house.open()
    slow = partner.create(client_name="slow")
    worker = house.worker(threads=2)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert began.wait(60)  # which of two that are due at once is begun first is not promised
        made = [partner.create() for _ in range(5)]
        worker.wake()
        for _ in range(5):
            assert others.acquire(timeout=60)
        assert status(partner, slow) == "provisioning"
    finally:
        release.set()
        worker.stop()
        thread.join(60)
    assert worker.finish(60) == 0

    assert status(partner, slow) == "active"
    assert {status(partner, tenant) for tenant in made} == {"active"}


def test_what_a_dead_worker_left_is_done_by_another(house: House) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    dead = house.worker()
    assert len(dead._works[0].claim(5)) == 1
    house.work(29)
    assert house.done == []
    house.work(2)

    assert house.done == ["one"]
    assert status(partner, tenant) == "active"
    assert progress(partner, tenant)["steps"][0]["attempts"] == 2


def test_a_claim_that_is_kept_is_not_taken_over(house: House) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    alive = house.worker()._works[0]
    claimed = alive.claim(5)
    house.clock.now += 20
    alive.renew(claimed)
    house.work(20)
    assert house.done == []
    alive.run(claimed[0])

    assert status(partner, tenant) == "active"


def test_a_claim_that_is_kept_too_late_does_not_put_off_the_next_attempt(house: House) -> None:
    house.step("one")
    partner = house.open()
    tenant = partner.create()
    house.broken["one"] = RuntimeError("boom")
    late = house.worker()._works[0]
    (claimed,) = late.claim(5)
    late.run(claimed)
    late.renew([claimed])
    house.work(13)
    assert house.done == ["one fails"] * 2
    assert status(partner, tenant) == "provisioning"


def test_whoever_lost_its_claim_has_no_say(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.step("one", retries=0)
    partner = house.open()
    tenant = partner.create()
    slow = house.worker()._works[0]
    claimed = slow.claim(5)
    house.clock.now += 31
    again = house.worker()._works[0].claim(5)
    caplog.set_level(logging.INFO)
    house.broken["one"] = RuntimeError("boom")
    slow.run(claimed[0])
    assert status(partner, tenant) == "provisioning"
    assert "lost its lease to another worker" in caplog.text
    assert len(again) == 1


def test_a_worker_that_dies_at_every_attempt_does_not_go_on_for_ever(house: House) -> None:
    house.step("deadly", retries=1)
    partner = house.open()
    tenant = partner.create()
    for _ in range(2):
        assert len(house.worker()._works[0].claim(5)) == 1
        house.clock.now += 31
    house.work()

    assert house.done == ["undo deadly"]
    assert progress(partner, tenant)["steps"][0]["error"]["class"] == "WorkerLost"


def test_a_step_that_the_host_has_no_more_gives_up(house: House) -> None:
    house.step("gone")
    partner = house.open()
    tenant = partner.create()
    house.provisioning.registry._steps["provisioning"].clear()
    house.provisioning.registry._orders.clear()
    house.work()

    assert status(partner, tenant) == "failed"


def test_a_deleted_tenant_is_provisioned_on_once_it_is_restored(house: House) -> None:
    house.step("one")
    house.step("two", after=["one"])
    house.broken["one"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    house.work()
    house.broken.clear()
    assert partner("DELETE", one(tenant)).status_code == 200
    house.work(600)
    assert (progress(partner, tenant)["state"], house.done) == ("paused", ["one fails"])
    assert partner("POST", f"{one(tenant)}/restore").get_json()["status"] == "provisioning"
    house.work()

    assert house.done == ["one fails", "one", "two"]
    assert status(partner, tenant) == "active"


def test_a_tenant_that_is_purged_half_way_is_undone_first(house: House) -> None:
    house.step("one")
    house.step("two", after=["one"])
    house.step("leave", phase="deprovisioning")
    house.broken["two"] = RuntimeError("boom")
    partner = house.open()
    admin = partner.as_("provisioning-admin")
    tenant = partner.create()
    house.work()

    assert admin("DELETE", f"{one(tenant)}?purge=true").status_code == 202
    house.work()

    assert house.done == ["one", "two fails", "undo two", "undo one", "leave"]
    assert rows(house.app, "tenants") == []


def test_deprovisioning_runs_before_the_purge(house: House) -> None:
    house.step("drop", phase="deprovisioning")
    house.step("tell", phase="deprovisioning", after=["drop"])
    partner = house.open()
    admin = partner.as_("provisioning-admin")
    tenant = partner.create()

    answer = admin("DELETE", f"{one(tenant)}?purge=true")
    assert (answer.status_code, answer.data, answer.headers["Retry-After"]) == (202, b"", "1")
    assert answer.headers["Location"] == f"/api/provisioning/tenants/{tenant['tenant']}/provisioning"
    problem(partner("GET", one(tenant)), status=404, code="tenant-not-found")
    assert progress(partner, tenant)["phase"] == "deprovisioning"
    assert partner("GET", "/tenants?include_deleted=true").get_json()["items"] == []
    assert partner("POST", "/tenants", json={**EXAMPLE, "email": tenant["email"]}).status_code == 201
    house.work()

    assert house.done == ["drop", "tell"]
    problem(partner("GET", f"{one(tenant)}/provisioning"), status=404)
    assert kinds(partner, tenant) == ["tenant.created", "tenant.purged"]
    assert [row["tenant_id"] for row in rows(house.app, "runs")] == []


def test_a_deprovisioning_that_fails_keeps_the_tenant_until_it_is_tried_again(house: House) -> None:
    house.step("drop", phase="deprovisioning")
    house.step("tell", phase="deprovisioning", after=["drop"], retries=0)
    house.broken["tell"] = RuntimeError("boom")
    partner = house.open()
    tenant = partner.create()
    partner.as_("provisioning-admin")("DELETE", f"{one(tenant)}?purge=true")
    house.work()
    assert progress(partner, tenant)["state"] == "failed"
    problem(act(partner, tenant, "cancel"), status=409, code="invalid-state")
    house.broken.clear()

    assert act(partner, tenant, "retry").status_code == 202
    house.work()

    assert house.done == ["drop", "tell fails", "tell"]
    assert rows(house.app, "tenants") == []


def test_the_workers_sweep_deprovisions_what_is_past_its_retention(house: House) -> None:
    house.step("drop", phase="deprovisioning")
    partner = house.open()
    tenant = partner.create()
    kept = partner.create()
    partner("DELETE", one(tenant))
    house.work(29 * DAY)
    assert house.done == []
    house.work(2 * DAY)

    assert house.done == ["drop"]
    assert [row["id"] for row in rows(house.app, "tenants")] == [kept["tenant"]]


def test_a_purge_hook_refuses_the_end_and_the_tenant_stays(house: House) -> None:
    refusing = [True]

    @house.provisioning.hook("tenant.purge")
    def refuse() -> None:
        if refusing:
            raise Conflict("The archive is closed.")

    house.step("drop", phase="deprovisioning", retries=0)
    partner = house.open()
    tenant = partner.create()
    partner.as_("provisioning-admin")("DELETE", f"{one(tenant)}?purge=true")
    house.work()

    assert progress(partner, tenant)["steps"][0]["error"] == {"class": "Conflict", "message": "The archive is closed."}
    refusing.clear()
    act(partner, tenant, "retry")
    house.work()
    assert rows(house.app, "tenants") == []


def test_a_hook_that_raises_leaves_no_step(house: House) -> None:
    house.step("one")

    @house.provisioning.hook("tenant.create")
    def refuse() -> None:
        raise Conflict("Not now.")

    partner = house.open()
    assert partner("POST", "/tenants", json=EXAMPLE, headers={"Idempotency-Key": "k"}).status_code == 409

    assert not any(everything(house.app).values())


def test_a_rehearsed_creation_says_provisioning_and_leaves_no_step(house: House) -> None:
    house.step("one")
    partner = house.open()
    answer = partner("POST", "/tenants?validate_only=true", json=EXAMPLE)

    assert (answer.status_code, answer.get_json()["status"]) == (201, "provisioning")
    assert not any(everything(house.app).values())


def test_the_consequences_of_a_request_carry_its_id(house: House) -> None:
    house.step("one")
    partner = house.open()
    answer = partner("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "ticket-7"})
    house.work()

    found = rows(house.app, "events", tenant_id=answer.get_json()["tenant"])
    assert {row["type"]: (row["request_id"], row["actor_subject"]) for row in found} == {
        "tenant.created": ("ticket-7", "someone"),
        "tenant.provisioned": ("ticket-7", "provisioning-worker"),
    }
    changes = next(json.loads(row["changes"]) for row in found if row["type"] == "tenant.provisioned")
    assert changes == {"status": {"previous": "provisioning", "new": "active"}}


def test_an_idle_worker_asks_at_most_once_a_second(house: House) -> None:
    from sqlalchemy import event

    from tests.witness import storage_of

    house.step("one")
    house.open().create()
    house.work()
    asked: list[str] = []
    worker = house.worker()
    assert worker._seconds_until_check() == 2.0, "seconds between two turns"
    event.listen(storage_of(house.app).engine, "checkout", lambda *_: asked.append("connection"))
    assert worker._run_once() == 0

    assert len(asked) == 1


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (lambda p: p.step("a b")(lambda: None), "A step's name is"),
        (lambda p: p.step("a", phase="x")(lambda: None), "The phase of a step is"),
        (lambda p: p.step("a", phase="deprovisioning", undo=print)(lambda: None), "without an undo"),
        (lambda p: p.step("a", retries=-1)(lambda: None), "retries from 0 on"),
        (lambda p: p.step("a", timeout=0)(lambda: None), "times above 0"),
        (lambda p: p.step("a")(lambda session: None), "has the parameter 'session'; available are context, tenant"),
        (lambda p: p.step("a", undo=lambda tenants: None)(lambda: None), "has the parameter 'tenants'"),
        (lambda p: [p.step("a")(lambda: None) for _ in "ab"], "There is a provisioning step named 'a'"),
    ],
)
def test_a_step_that_cannot_be_is_refused_in_a_sentence(register: Callable[[Any], Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        register(TenantProvisioning())
