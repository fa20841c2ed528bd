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
from tests.support.assertions import assert_problem, check_problem
from tests.support.callers import EXAMPLE, Caller, tenant_path
from tests.support.clock import DAY
from tests.support.database.rows import fetch_all_rows, fetch_rows
from tests.support.events import fetch_event_types
from tests.support.workers.step_hosts import StepHost, read_provisioning, read_step_states, read_tenant_status


@pytest.fixture
def host(database_url: str) -> Iterator[StepHost]:
    host = StepHost(database_url)
    yield host
    host.close()


def act(caller: Caller, tenant: dict[str, Any], what: str, **options: Any) -> Any:
    return caller("POST", f"{tenant_path(tenant)}/provisioning/{what}", **options)


def test_a_tenant_with_steps_is_active_once_they_have_succeeded(host: StepHost) -> None:
    host.step("schema")
    host.step("bucket", after=["schema"])
    partner = host.open()

    tenant = partner.create()
    assert tenant["status"] == "provisioning"
    assert read_step_states(partner, tenant) == {"schema": "waiting", "bucket": "waiting"}
    host.work()

    assert host.done == ["schema", "bucket"]
    assert read_tenant_status(partner, tenant) == "active"
    assert read_step_states(partner, tenant) == {"schema": "succeeded", "bucket": "succeeded"}
    assert sorted(fetch_event_types(partner, tenant)) == ["tenant.created", "tenant.provisioned"]


def test_a_tenant_without_steps_is_active_at_once(host: StepHost) -> None:
    partner = host.open()
    tenant = partner.create()

    assert tenant["status"] == "active"
    assert read_provisioning(partner, tenant) == {
        "tenant": tenant["tenant"],
        "phase": "provisioning",
        "state": "succeeded",
        "round": 1,
        "created_at": tenant["created_at"],
        "finished_at": tenant["created_at"],
        "steps": [],
    }


def test_the_progress_shows_each_step(host: StepHost) -> None:
    host.step("schema")
    host.step("bucket", after=["schema"], retries=3)
    host.broken["bucket"] = StepFailed("The region is full.")
    partner = host.open()
    tenant = partner.create()
    host.work()

    progress = read_provisioning(partner, tenant)

    schema, bucket = progress["steps"]
    assert (progress["phase"], progress["state"], progress["finished_at"]) == ("provisioning", "running", None)
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


def test_exception_text_is_hidden_from_partners(host: StepHost, caplog: pytest.LogCaptureFixture) -> None:
    host.step("bucket")
    host.broken["bucket"] = RuntimeError("password hunter2 is wrong")
    partner = host.open()
    tenant = partner.create()
    host.work()

    error = read_provisioning(partner, tenant)["steps"][0]["error"]

    assert error == {"class": "RuntimeError", "message": "The step failed; the operator's log says why."}
    assert "bucket" in caplog.text


def test_a_step_that_fails_is_tried_again_each_time_after_twice_as_long(host: StepHost) -> None:
    host.step("bucket", retries=2)
    host.broken["bucket"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    for seconds, attempts in ((7, 1), (6, 2), (14, 2), (11, 3)):
        host.work(seconds)
        assert host.done.count("bucket fails") == attempts, seconds

    assert read_tenant_status(partner, tenant) == "failed"


def test_a_step_that_succeeds_later_makes_the_tenant_active(host: StepHost) -> None:
    host.step("bucket")
    host.broken["bucket"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.broken.clear()
    host.work(30)

    assert read_tenant_status(partner, tenant) == "active"
    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 2
    assert read_provisioning(partner, tenant)["steps"][0]["error"] is None


def test_failed_step_undoes_each_step_once_in_reverse(host: StepHost) -> None:
    host.step("one")
    host.step("two", after=["one"])
    host.step("three", after=["two"], retries=0)
    host.step("four", after=["three"])
    host.broken["three"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()

    assert host.done == ["one", "two", "three fails", "undo three", "undo two", "undo one"]
    assert read_tenant_status(partner, tenant) == "failed"
    assert read_provisioning(partner, tenant)["state"] == "failed"
    assert read_step_states(partner, tenant) == {
        "one": "undone",
        "two": "undone",
        "three": "undone",
        "four": "cancelled",
    }
    assert sorted(fetch_event_types(partner, tenant)) == ["tenant.created", "tenant.provisioning_failed"]
    host.work(DAY)
    assert len(host.done) == 6


def test_a_step_can_give_up_at_once(host: StepHost) -> None:
    host.step("bucket", retries=9)
    host.broken["bucket"] = StepFailed("No such region.", retry=False)
    partner = host.open()
    tenant = partner.create()
    host.work()

    assert read_tenant_status(partner, tenant) == "failed"
    assert read_provisioning(partner, tenant)["steps"][0]["error"] == {
        "class": "StepFailed",
        "message": "No such region.",
    }


def test_failed_undo_is_retried_without_blocking_the_others(host: StepHost) -> None:
    host.step("one")
    host.step("two", after=["one"], retries=1)
    host.step("three", after=["two"], retries=0)
    host.broken |= {"three": RuntimeError("boom"), "undo two": RuntimeError("boom")}
    partner = host.open()
    tenant = partner.create()
    host.work()
    assert read_step_states(partner, tenant) == {"one": "succeeded", "two": "undoing", "three": "undone"}
    host.work(30)

    assert host.done[3:] == ["undo three", "undo two fails", "undo two fails", "undo one"]
    assert read_step_states(partner, tenant) == {"one": "undone", "two": "undo_failed", "three": "undone"}
    assert read_tenant_status(partner, tenant) == "failed"


def test_a_retry_after_the_cause_is_mended_ends_active(host: StepHost) -> None:
    host.step("one", undo=False)
    host.step("two", after=["one"])
    host.step("three", after=["two"], retries=0)
    host.broken["three"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.broken.clear()
    host.done.clear()

    response = act(partner, tenant, "retry")
    assert response.status_code == 202, response.text
    assert response.headers["Location"].endswith(f"/tenants/{tenant['tenant']}/provisioning")
    assert (response.get_json()["state"], response.get_json()["round"]) == ("running", 2)
    assert read_tenant_status(partner, tenant) == "provisioning"
    host.work()

    assert host.done == ["two", "three"]  # the first was not undone, and stands
    assert read_tenant_status(partner, tenant) == "active"
    assert sorted(fetch_event_types(partner, tenant)) == [
        "tenant.created",
        "tenant.provisioned",
        "tenant.provisioning_failed",
        "tenant.updated",
    ]


def test_retry_runs_a_delayed_step_at_once(host: StepHost) -> None:
    host.step("bucket")
    host.broken["bucket"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.broken.clear()

    assert act(partner, tenant, "retry").status_code == 202
    host.work()

    assert read_tenant_status(partner, tenant) == "active"


def test_a_retry_runs_the_steps_of_today(host: StepHost) -> None:
    host.step("old")
    host.step("bad", retries=0)
    host.broken["bad"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.provisioning.registry._steps["provisioning"].clear()
    host.step("new")
    host.done.clear()

    act(partner, tenant, "retry")
    host.work()

    assert host.done == ["new"]
    assert read_step_states(partner, tenant) == {"new": "succeeded"}


def test_a_cancelled_tenant_fails_and_all_is_undone(host: StepHost) -> None:
    host.step("one")
    host.step("two", after=["one"])
    host.broken["two"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()

    response = act(partner, tenant, "cancel")
    assert (response.status_code, response.get_json()["state"]) == (202, "undoing")
    assert act(partner, tenant, "cancel").status_code == 202
    assert_problem(
        act(partner, tenant, "retry"),
        409,
        "invalid-state",
        "Provisioning that is undoing cannot be tried again.",
        provisioning_state="undoing",
    )
    host.work()

    assert host.done == ["one", "two fails", "undo two", "undo one"]
    assert read_provisioning(partner, tenant)["state"] == "cancelled"
    assert read_tenant_status(partner, tenant) == "failed"
    host.broken.clear()
    assert act(partner, tenant, "retry").status_code == 202
    host.work()
    assert read_tenant_status(partner, tenant) == "active"


@pytest.mark.parametrize("what", ["retry", "cancel"])
def test_active_tenant_cannot_be_retried_or_cancelled(host: StepHost, what: str) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    host.work()

    check_problem(act(partner, tenant, what), status=409, code="invalid-state", provisioning_state="succeeded")


@pytest.mark.parametrize("what", ["retry", "cancel"])
def test_retry_and_cancel_support_dry_run_and_replay(host: StepHost, what: str) -> None:
    host.step("one")
    host.broken["one"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    before = fetch_all_rows(host.app)

    rehearsed = act(partner, tenant, f"{what}?validate_only=true")
    assert (rehearsed.status_code, rehearsed.headers["X-Validate-Only"]) == (202, "true")
    assert fetch_all_rows(host.app) == before
    first = act(partner, tenant, what, headers={"Idempotency-Key": "k"})
    second = act(partner, tenant, what, headers={"Idempotency-Key": "k"})
    assert second.get_json() == first.get_json()
    assert second.headers["Idempotency-Replayed"] == "true"


def test_another_partners_provisioning_returns_404(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    stranger = Caller(host.app)

    for response in (
        stranger("GET", f"{tenant_path(tenant)}/provisioning"),
        act(stranger, tenant, "retry"),
        act(stranger, tenant, "cancel"),
    ):
        check_problem(response, status=404, code="tenant-not-found")


def test_retried_step_keeps_its_saved_data_and_idempotency_key(host: StepHost) -> None:
    seen: list[tuple[str, int, dict[str, Any], str]] = []

    @host.provisioning.step("bucket", backoff=1)
    def make(tenant: dict[str, Any], context: StepContext) -> None:
        seen.append((context.idempotency_key, context.attempt, dict(context.saved), context.partner))
        context.save({f"part-{context.attempt}": tenant["client_name"]})
        if context.attempt < 3:
            raise RuntimeError("half done")

    @host.provisioning.step("mail", after=["bucket"])
    def mail(context: StepContext) -> None:
        host.done.append(context.saved_by("bucket"))

    partner = host.open()
    tenant = partner.create()
    for _ in range(3):
        host.work(10)

    key, name = f"{tenant['tenant']}:provisioning:bucket:1", "Example Corp"
    assert seen == [
        (key, 1, {}, partner.partner),
        (key, 2, {"part-1": name}, partner.partner),
        (key, 3, {"part-1": name, "part-2": name}, partner.partner),
    ]
    assert host.done == [{"part-1": name, "part-2": name, "part-3": name}]


def test_a_step_that_was_undone_gets_a_new_key_and_an_empty_memory(host: StepHost) -> None:
    keys: list[tuple[str, dict[str, Any]]] = []

    def note(context: StepContext) -> None:
        keys.append((context.idempotency_key.partition(":provisioning:")[2], dict(context.saved)))

    @host.provisioning.step("bucket", undo=note)
    def make(context: StepContext) -> None:
        note(context)
        context.save({"bucket": "b-7"})

    host.step("mail", after=["bucket"], retries=0)
    host.broken["mail"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.broken.clear()
    act(partner, tenant, "retry")
    host.work()

    assert keys == [("bucket:1", {}), ("bucket:1:undo", {"bucket": "b-7"}), ("bucket:2", {})]


@pytest.mark.parametrize("value", [{"x": object()}, {"x": float("nan")}])
def test_a_step_saves_json_and_nothing_else(host: StepHost, value: dict[str, Any]) -> None:
    @host.provisioning.step("bucket")
    def make(context: StepContext) -> None:
        with pytest.raises((TypeError, ValueError)):
            context.save(value)
        host.done.append(context.saved)

    host.open().create()
    host.work()

    assert host.done == [{}]


def test_steps_that_wait_for_no_other_run_side_by_side(host: StepHost) -> None:
    meeting = threading.Barrier(2, timeout=20)

    for name in ("left", "right"):
        host.provisioning.step(name)(lambda: host.done.append(meeting.wait()))
    partner = host.open()
    tenant = partner.create()
    host.work()

    assert sorted(host.done) == [0, 1]
    assert read_tenant_status(partner, tenant) == "active"


def test_a_step_runs_in_the_hosts_application_context(host: StepHost) -> None:
    host.provisioning.step("look")(lambda: host.done.append(current_app.name))
    host.open().create()
    host.work()

    assert host.done == ["host"]


def test_a_step_past_its_timeout_is_abandoned_and_tried_again(host: StepHost) -> None:
    late, waiting = threading.Event(), threading.Event()

    @host.provisioning.step("slow", timeout=2, backoff=5)
    def slow(context: StepContext) -> None:
        if context.attempt == 1:
            waiting.wait(20)
            try:
                context.save({"too": "late"})
            except StepAbandoned:
                host.done.append("abandoned")
            late.set()
        else:
            host.done.append(f"attempt {context.attempt}")

    partner = host.open()
    tenant = partner.create()
    host.work()
    assert read_provisioning(partner, tenant)["steps"][0]["error"]["class"] == "TimeoutError"
    host.work(10)
    waiting.set()
    assert late.wait(20)

    assert host.done == ["attempt 2", "abandoned"]
    assert read_tenant_status(partner, tenant) == "active"
    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 2


def test_one_slow_step_delays_no_other_tenants(host: StepHost) -> None:
    began, release, others = threading.Event(), threading.Event(), threading.Semaphore(0)

    @host.provisioning.step("work")
    def work(tenant: dict[str, Any]) -> None:
        if tenant["client_name"] == "slow":
            began.set()
            assert release.wait(600)
        else:
            others.release()

    partner = host.open()
    slow = partner.create(client_name="slow")
    worker = host.worker(threads=2)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        assert began.wait(60)  # which of two that are due at once is begun first is not promised
        tenants = [partner.create() for _ in range(5)]
        worker.wake()
        for _ in range(5):
            assert others.acquire(timeout=60)
        assert read_tenant_status(partner, slow) == "provisioning"
    finally:
        release.set()
        worker.stop()
        thread.join(60)
    assert worker.finish(60) == 0

    assert read_tenant_status(partner, slow) == "active"
    assert {read_tenant_status(partner, tenant) for tenant in tenants} == {"active"}


def test_step_of_a_dead_worker_is_run_by_another(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    dead = host.worker()
    assert len(dead._works[0].claim(5)) == 1
    host.work(29)
    assert host.done == []
    host.work(2)

    assert host.done == ["one"]
    assert read_tenant_status(partner, tenant) == "active"
    assert read_provisioning(partner, tenant)["steps"][0]["attempts"] == 2


def test_renewed_claim_is_not_taken_over(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    alive = host.worker()._works[0]
    claimed = alive.claim(5)
    host.clock.now += 20
    alive.renew(claimed)
    host.work(20)
    assert host.done == []
    alive.run(claimed[0])

    assert read_tenant_status(partner, tenant) == "active"


def test_late_renewal_does_not_delay_the_next_attempt(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    tenant = partner.create()
    host.broken["one"] = RuntimeError("boom")
    late = host.worker()._works[0]
    (claimed,) = late.claim(5)
    late.run(claimed)
    late.renew([claimed])
    host.work(13)
    assert host.done == ["one fails"] * 2
    assert read_tenant_status(partner, tenant) == "provisioning"


def test_worker_that_lost_its_lease_saves_nothing(host: StepHost, caplog: pytest.LogCaptureFixture) -> None:
    host.step("one", retries=0)
    partner = host.open()
    tenant = partner.create()
    slow = host.worker()._works[0]
    claimed = slow.claim(5)
    host.clock.now += 31
    again = host.worker()._works[0].claim(5)
    caplog.set_level(logging.INFO)
    host.broken["one"] = RuntimeError("boom")
    slow.run(claimed[0])
    assert read_tenant_status(partner, tenant) == "provisioning"
    assert "lost its lease to another worker" in caplog.text
    assert len(again) == 1


def test_a_worker_that_dies_at_every_attempt_does_not_go_on_for_ever(host: StepHost) -> None:
    host.step("deadly", retries=1)
    partner = host.open()
    tenant = partner.create()
    for _ in range(2):
        assert len(host.worker()._works[0].claim(5)) == 1
        host.clock.now += 31
    host.work()

    assert host.done == ["undo deadly"]
    assert read_provisioning(partner, tenant)["steps"][0]["error"]["class"] == "WorkerLost"


def test_a_step_that_the_host_has_no_more_gives_up(host: StepHost) -> None:
    host.step("gone")
    partner = host.open()
    tenant = partner.create()
    host.provisioning.registry._steps["provisioning"].clear()
    host.provisioning.registry._sorted_steps.clear()
    host.work()

    assert read_tenant_status(partner, tenant) == "failed"


def test_restored_tenant_resumes_provisioning(host: StepHost) -> None:
    host.step("one")
    host.step("two", after=["one"])
    host.broken["one"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    host.work()
    host.broken.clear()
    assert partner("DELETE", tenant_path(tenant)).status_code == 200
    host.work(600)
    assert (read_provisioning(partner, tenant)["state"], host.done) == ("paused", ["one fails"])
    assert partner("POST", f"{tenant_path(tenant)}/restore").get_json()["status"] == "provisioning"
    host.work()

    assert host.done == ["one fails", "one", "two"]
    assert read_tenant_status(partner, tenant) == "active"


def test_a_tenant_that_is_purged_half_way_is_undone_first(host: StepHost) -> None:
    host.step("one")
    host.step("two", after=["one"])
    host.step("leave", phase="deprovisioning")
    host.broken["two"] = RuntimeError("boom")
    partner = host.open()
    admin = partner.with_roles("provisioning-admin")
    tenant = partner.create()
    host.work()

    assert admin("DELETE", f"{tenant_path(tenant)}?purge=true").status_code == 202
    host.work()

    assert host.done == ["one", "two fails", "undo two", "undo one", "leave"]
    assert fetch_rows(host.app, "tenants") == []


def test_deprovisioning_runs_before_the_purge(host: StepHost) -> None:
    host.step("drop", phase="deprovisioning")
    host.step("tell", phase="deprovisioning", after=["drop"])
    partner = host.open()
    admin = partner.with_roles("provisioning-admin")
    tenant = partner.create()

    response = admin("DELETE", f"{tenant_path(tenant)}?purge=true")
    assert (response.status_code, response.data, response.headers["Retry-After"]) == (202, b"", "1")
    assert response.headers["Location"] == f"/api/provisioning/tenants/{tenant['tenant']}/provisioning"
    check_problem(partner("GET", tenant_path(tenant)), status=404, code="tenant-not-found")
    assert read_provisioning(partner, tenant)["phase"] == "deprovisioning"
    assert partner("GET", "/tenants?include_deleted=true").get_json()["items"] == []
    assert partner("POST", "/tenants", json={**EXAMPLE, "email": tenant["email"]}).status_code == 201
    host.work()

    assert host.done == ["drop", "tell"]
    check_problem(partner("GET", f"{tenant_path(tenant)}/provisioning"), status=404)
    assert fetch_event_types(partner, tenant) == ["tenant.created", "tenant.purged"]
    assert [row["tenant_id"] for row in fetch_rows(host.app, "runs")] == []


def test_failed_deprovisioning_keeps_the_tenant_until_retried(host: StepHost) -> None:
    host.step("drop", phase="deprovisioning")
    host.step("tell", phase="deprovisioning", after=["drop"], retries=0)
    host.broken["tell"] = RuntimeError("boom")
    partner = host.open()
    tenant = partner.create()
    partner.with_roles("provisioning-admin")("DELETE", f"{tenant_path(tenant)}?purge=true")
    host.work()
    assert read_provisioning(partner, tenant)["state"] == "failed"
    check_problem(act(partner, tenant, "cancel"), status=409, code="invalid-state")
    host.broken.clear()

    assert act(partner, tenant, "retry").status_code == 202
    host.work()

    assert host.done == ["drop", "tell fails", "tell"]
    assert fetch_rows(host.app, "tenants") == []


def test_worker_sweep_deprovisions_tenants_past_retention(host: StepHost) -> None:
    host.step("drop", phase="deprovisioning")
    partner = host.open()
    tenant = partner.create()
    kept = partner.create()
    partner("DELETE", tenant_path(tenant))
    host.work(29 * DAY)
    assert host.done == []
    host.work(2 * DAY)

    assert host.done == ["drop"]
    assert [row["id"] for row in fetch_rows(host.app, "tenants")] == [kept["tenant"]]


def test_a_purge_hook_refuses_the_end_and_the_tenant_stays(host: StepHost) -> None:
    refusing = [True]

    @host.provisioning.hook("tenant.purge")
    def refuse() -> None:
        if refusing:
            raise Conflict("The archive is closed.")

    host.step("drop", phase="deprovisioning", retries=0)
    partner = host.open()
    tenant = partner.create()
    partner.with_roles("provisioning-admin")("DELETE", f"{tenant_path(tenant)}?purge=true")
    host.work()

    assert read_provisioning(partner, tenant)["steps"][0]["error"] == {
        "class": "Conflict",
        "message": "The archive is closed.",
    }
    refusing.clear()
    act(partner, tenant, "retry")
    host.work()
    assert fetch_rows(host.app, "tenants") == []


def test_a_hook_that_raises_leaves_no_step(host: StepHost) -> None:
    host.step("one")

    @host.provisioning.hook("tenant.create")
    def refuse() -> None:
        raise Conflict("Not now.")

    partner = host.open()
    assert partner("POST", "/tenants", json=EXAMPLE, headers={"Idempotency-Key": "k"}).status_code == 409

    assert not any(fetch_all_rows(host.app).values())


def test_dry_run_of_a_creation_returns_provisioning_and_leaves_no_step(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    response = partner("POST", "/tenants?validate_only=true", json=EXAMPLE)

    assert (response.status_code, response.get_json()["status"]) == (201, "provisioning")
    assert not any(fetch_all_rows(host.app).values())


def test_the_consequences_of_a_request_carry_its_id(host: StepHost) -> None:
    host.step("one")
    partner = host.open()
    response = partner("POST", "/tenants", json=EXAMPLE, headers={"X-Request-ID": "ticket-7"})
    host.work()

    rows = fetch_rows(host.app, "events", tenant_id=response.get_json()["tenant"])
    assert {row["type"]: (row["request_id"], row["actor_subject"]) for row in rows} == {
        "tenant.created": ("ticket-7", "someone"),
        "tenant.provisioned": ("ticket-7", "provisioning-worker"),
    }
    changes = next(json.loads(row["changes"]) for row in rows if row["type"] == "tenant.provisioned")
    assert changes == {"status": {"previous": "provisioning", "new": "active"}}


def test_idle_worker_polls_at_most_once_a_second(host: StepHost) -> None:
    from sqlalchemy import event

    from tests.support.database.rows import get_storage as storage_of

    host.step("one")
    host.open().create()
    host.work()
    polls: list[str] = []
    worker = host.worker()
    assert worker._calculate_wait() == 2.0, "seconds between two turns"
    event.listen(storage_of(host.app).engine, "checkout", lambda *_: polls.append("connection"))
    assert worker._run_once() == 0

    assert len(polls) == 1


@pytest.mark.parametrize(
    ("register", "message"),
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
def test_invalid_step_is_refused_with_a_message(register: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        register(TenantProvisioning())
