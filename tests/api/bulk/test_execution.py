"""Bulk jobs, from the upload to what came of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.event import listen

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions, retention
from flask_tenant_provisioning.bulk.upload.limits import UploadFormatError
from flask_tenant_provisioning.bulk.worker import MAX_CLAIMS, BulkWork
from flask_tenant_provisioning.database.errors import LeaseLost
from flask_tenant_provisioning.errors import BulkJobNotFound, InvalidState, ProvisioningError, StorageUnavailable
from tests.support.bulk import Bulk
from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.events import read_feed
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently


def make_row(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"admin{n}@example.com", **more}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def bulk(app: Flask) -> Bulk:
    return Bulk(app, Caller(app))


def test_rows_become_tenants_as_single_calls_make_them(bulk: Bulk) -> None:
    job = bulk.upload("create", [make_row(1), make_row(2, external_id="two", metadata={"tier": "ü"}, plan="gold")])
    bulk.work()
    results = bulk.results(job)
    tenants = bulk.partner("GET", "/tenants").get_json()["items"]
    assert sorted((result.tenant, result.external_id) for result in results) == sorted(
        (tenant["tenant"], tenant["external_id"]) for tenant in tenants
    )
    assert [(result.row, result.state, result.status, result.problem) for result in results] == [
        (1, "succeeded", 201, None),
        (2, "succeeded", 201, None),
    ]
    *created, finished = read_feed(bulk.partner)
    assert {event["type"] for event in created} == {"tenant.created"}
    assert {event["request_id"] for event in created} == {"request-1"}
    assert finished["type"] == "bulk_job.finished"
    assert finished["data"] == {
        "job": job.id, "operation": "create", "mode": "partial", "state": "succeeded", "total": 2,
        "succeeded": 2, "failed": 0, "unchanged": 0,
    }  # fmt: skip
    after = bulk.job(job)
    assert (after.state, after.succeeded, after.failed, after.due_at) == ("succeeded", 2, 0, None)


def test_every_bad_row_has_its_own_problem_in_one_pass(bulk: Bulk) -> None:
    bulk.partner.create(email="taken@example.com")
    results = bulk.do(
        "create",
        [
            make_row(1),
            b'{"client_name": "x", "email": ',
            b"",
            b"[1]",
            b"\xff\xfe",
            make_row(2, email="nobody"),
            make_row(3, email="TAKEN@example.com"),
            make_row(4, email="admin1@example.com"),
            {"client_name": " ", "email": "a@b.example", "nonsense": 1, "tenant": "x", "metadata": {"a": 1}},
            b'{"client_name": "a", "client_name": "b"}',
            make_row(5),
        ],
    )
    summary = [
        (result.row, result.state, result.status, result.problem and (result.problem["code"], result.problem["line"]))
        for result in results
    ]
    assert summary == [
        (1, "succeeded", 201, None),
        (2, "failed", 400, ("malformed-json", 2)),
        (3, "failed", 400, ("validation-error", 4)),
        (4, "failed", 400, ("malformed-json", 5)),
        (5, "failed", 400, ("validation-error", 6)),
        (6, "failed", 409, ("tenant-exists", 7)),
        (7, "failed", 409, ("tenant-exists", 8)),
        (8, "failed", 400, ("validation-error", 9)),
        (9, "failed", 400, ("malformed-json", 10)),
        (10, "succeeded", 201, None),
    ]
    wrong = results[7].problem
    assert wrong is not None
    assert [entry["pointer"] for entry in wrong["errors"]] == [
        "#/client_name", "#/metadata/a", "#/nonsense", "#/tenant",
    ]  # fmt: skip
    assert results[6].problem is not None
    assert results[6].problem["conflicting_tenant"] == results[0].tenant
    assert results[1].problem is not None
    assert results[1].problem["detail"] == "Expecting value at column 30."


def test_a_table_is_read_by_its_columns(bulk: Bulk) -> None:
    table = "client_name;email;metadata.tier;metadata.note;plan\n'A';a@x.example;gold;\"1\n2\";\nB;b@x.example;;;p;q\n"
    good, bad = bulk.do("create", table)
    assert good.tenant is not None
    tenant = bulk.partner("GET", f"/tenants/{good.tenant}").get_json()
    assert (tenant["client_name"], tenant["metadata"], tenant["plan"]) == (
        "'A'",
        {"tier": "gold", "note": "1\n2"},
        None,
    )
    assert bad.problem is not None
    assert (bad.problem["line"], bad.problem["errors"][0]["code"]) == (4, "wrong-number-of-cells")


@pytest.mark.parametrize(
    ("operation", "more", "status", "event"),
    [
        ("update", {"plan": "gold"}, "active", "tenant.updated"),
        ("suspend", {"reason": "unpaid"}, "suspended", "tenant.suspended"),
        ("delete", {}, "deleted", "tenant.deleted"),
    ],
)
def test_row_has_the_effect_of_the_single_call(
    bulk: Bulk, operation: str, more: dict[str, Any], status: str, event: str
) -> None:
    by_id, by_name, other = bulk.partner.create(), bulk.partner.create(external_id="x"), Caller(bulk.app).create()
    results = bulk.do(
        operation,
        [
            {"tenant": by_id["tenant"], **more},
            {"external_id": "x", **more},
            {"tenant": other["tenant"], **more},
            {"external_id": "nobody", **more},
            dict(more),
            {"tenant": by_id["tenant"], **more},
        ],
    )
    summary = [(result.state, result.status, result.problem and result.problem["code"]) for result in results]
    assert summary == [
        ("succeeded", 200, None),
        ("succeeded", 200, None),
        ("failed", 404, "tenant-not-found"),
        ("failed", 404, "tenant-not-found"),
        ("failed", 400, "validation-error"),
        ("failed", 409, "duplicate-row"),
    ]
    assert results[5].problem is not None
    assert results[5].problem["first_row"] == 1
    for tenant in (by_id, by_name):
        after = bulk.partner("GET", tenant_path(tenant)).get_json()
        assert (after["status"], after["version"]) == (status, 2)
    assert [e["type"] for e in read_feed(bulk.partner)][-3:] == [event, event, "bulk_job.finished"]
    assert fetch_rows(bulk.app, "bulk_keys") == []


def test_row_without_a_change_is_unchanged(bulk: Bulk) -> None:
    tenant = bulk.partner.create(external_id="x", plan="gold")
    same = {name: tenant[name] for name in ("client_name", "email", "phone_number", "industry", "external_id", "plan")}
    assert [(r.state, r.status) for r in bulk.do("upsert", [same, make_row(2, external_id="y")])] == [
        ("unchanged", 200),
        ("succeeded", 201),
    ]
    assert [r.state for r in bulk.do("update", [{"tenant": tenant["tenant"], "plan": "gold"}])] == ["unchanged"]
    assert [r.state for r in bulk.do("reactivate", [{"external_id": "x"}])] == ["unchanged"]
    assert bulk.partner("GET", tenant_path(tenant)).get_json()["version"] == 1


def test_an_atomic_job_does_all_or_nothing(bulk: Bulk) -> None:
    job = bulk.upload("create", [make_row(1), make_row(2, email="nobody"), make_row(3)], mode="atomic")
    bulk.work()
    assert [(result.state, result.status, result.tenant) for result in bulk.results(job)] == [
        ("skipped", None, None),
        ("failed", 400, None),
        ("skipped", None, None),
    ]
    assert bulk.job(job).state == "failed"
    assert fetch_rows(bulk.app, "tenants") == []
    again = bulk.upload("create", [make_row(1), make_row(3)], mode="atomic")
    bulk.work()
    assert bulk.job(again).state == "succeeded"
    assert len(fetch_rows(bulk.app, "tenants")) == 2


@pytest.mark.parametrize("mode", ["partial", "atomic"])
def test_dry_run_returns_results_and_leaves_nothing(bulk: Bulk, mode: str) -> None:
    job = bulk.upload("create", [make_row(1), make_row(2)], mode=mode, dry_run=True)
    bulk.work()
    assert [(result.state, result.status) for result in bulk.results(job)] == [("succeeded", 201)] * 2
    assert fetch_rows(bulk.app, "tenants") == []
    assert [event["type"] for event in read_feed(bulk.partner)] == ["bulk_job.finished"]


@pytest.mark.parametrize(
    ("operation", "sent", "message"),
    [
        ("create", [make_row(1), make_row(2), make_row(1)], "Row {} has the same email."),
        ("create", [make_row(1, external_id="x"), make_row(2, external_id="x")], "Row {} has the same external id."),
        ("upsert", [make_row(1, external_id="x"), make_row(1, external_id="x")], "Row {} has the same email."),
        (
            "upsert",
            [make_row(1, external_id="old"), make_row(2, external_id="old")],
            "Row {} refers to the same tenant.",
        ),
        ("suspend", [{"external_id": "old"}, {"external_id": "old"}], "Row {} refers to the same tenant."),
    ],
)
def test_dry_run_detects_duplicates_across_chunks(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch, operation: str, sent: list[Any], message: str
) -> None:
    bulk.do("create", [make_row(0, external_id="old")])
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    job = bulk.upload(operation, sent, dry_run=True)
    run_concurrently(2, lambda _number: bulk.work())
    results = bulk.results(job)
    (failed,) = (result for result in results if result.state == "failed")
    first = (failed.problem or {})["first_row"]
    assert failed.problem == {
        "code": "duplicate-row", "detail": message.format(first), "line": failed.row, "first_row": first,
    }  # fmt: skip
    assert (failed.status, failed.row, first) in ((409, len(sent), 1), (409, 1, len(sent)))
    assert len(fetch_rows(bulk.app, "tenants")) == 1
    assert bulk.job(job).succeeded == len(sent) - 1


def test_hooks_are_asked_for_each_row(database_url: str) -> None:
    seen: list[str] = []
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(make_config())

    @provisioning.hook("tenant.create")
    def look(tenant: dict[str, Any]) -> None:
        seen.append(tenant["client_name"])
        if tenant["client_name"] == "Client 2":
            raise ZeroDivisionError

    provisioning.init_app(app, database_url)
    bulk = Bulk(app, Caller(app))
    results = bulk.do("create", [make_row(1), make_row(2), make_row(3), make_row(1)])
    assert [(result.state, result.status) for result in results] == [
        ("succeeded", 201),
        ("failed", 500),
        ("succeeded", 201),
        ("failed", 409),
    ]
    assert [*dict.fromkeys(seen)] == ["Client 1", "Client 2", "Client 3"]
    assert len(fetch_rows(app, "tenants")) == len(fetch_rows(app, "events")) - 1 == 2


@pytest.mark.parametrize(("bad", "kept"), [((), 1), ((30,), 3), (range(0, 50, 7), 3)], ids=["none", "one", "many"])
def test_rows_with_hooks_share_savepoints(database_url: str, bad: Sequence[int], kept: int) -> None:
    provisioning, app = TenantProvisioning(), Flask("host")
    app.config.update(make_config())

    @provisioning.hook("tenant.create")
    def refuse(session: Any, tenant: dict[str, Any]) -> None:
        session.execute(get_storage(app).table("usage").insert().values(partner_id=tenant["tenant"], tenants=1))
        if int(tenant["external_id"]) in bad:
            raise PermissionError("this one not")

    provisioning.map_error(PermissionError, status=403, code="not-this-one")
    provisioning.init_app(app, database_url)
    bulk, savepoints = Bulk(app, Caller(app)), list[str]()
    listen(get_storage(app).engine, "release_savepoint", lambda _connection, name, _context: savepoints.append(name))
    results = bulk.do("create", [make_row(n, external_id=str(n)) for n in range(50)])
    assert len(savepoints) == kept
    assert [result.row - 1 for result in results if result.state == "failed"] == [*bad]
    assert {(result.problem or {}).get("code") for result in results} == {None, *["not-this-one"][: len(bad)]}
    tenants = {result.tenant for result in results if result.state == "succeeded"}
    assert (
        {row["id"] for row in fetch_rows(app, "tenants")}
        == {row["partner_id"] for row in fetch_rows(app, "usage")}
        == tenants
    )


def test_a_job_in_many_chunks_is_done_once_by_two_workers(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 7)
    job = bulk.upload("create", [make_row(n) for n in range(100)])
    first, second = BulkWork(bulk.mount, 30), BulkWork(bulk.mount, 30)
    pieces = [piece for work in (first, second) for piece in work.claim(2)]
    assert len({piece.number for piece in pieces}) == 4
    for piece in pieces:
        first.run(piece)
    first.run(pieces[0])
    bulk.work()
    assert [result.row for result in bulk.results(job)] == list(range(1, 101))
    assert bulk.job(job).succeeded == len(fetch_rows(bulk.app, "tenants")) == 100


def test_jobs_and_single_calls_on_the_same_tenants_wait_for_each_other(
    bulk: Bulk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 10)
    new_rows = [make_row(n, external_id=str(n)) for n in range(40)]
    bulk.do("create", new_rows)
    tenants = [tenant["tenant"] for tenant in bulk.partner("GET", "/tenants?limit=40").get_json()["items"]]
    backwards = [{"external_id": str(n), "metadata": {"by": "update"}} for n in reversed(range(40))]
    jobs = [
        bulk.upload("upsert", [{**row, "industry": "upsert"} for row in new_rows]),
        bulk.upload("update", backwards),
    ]

    def work(number: int) -> list[int]:
        if number < 2:
            bulk.work()
            return []
        caller = Caller(bulk.app, bulk.partner.partner)
        return [caller("PATCH", f"/tenants/{tenant}", json={"plan": f"{number}"}).status_code for tenant in tenants]

    assert run_concurrently(4, work) == [[], [], [200] * 40, [200] * 40]
    bulk.work()
    assert [(bulk.job(job).state, bulk.job(job).succeeded) for job in jobs] == [("succeeded", 40)] * 2
    rows = fetch_rows(bulk.app, "tenants")
    events = fetch_rows(bulk.app, "events", type="tenant.updated")
    assert {row["id"]: row["version"] - 1 for row in rows} == Counter(event["tenant_id"] for event in events)


def test_worker_that_lost_its_chunk_leaves_nothing(bulk: Bulk) -> None:
    job = bulk.upload("create", [make_row(1)])
    slow = BulkWork(bulk.mount, 0)
    (piece,) = slow.claim(1)
    (again,) = BulkWork(bulk.mount, 30).claim(1)
    assert again.number == piece.number
    with pytest.raises(LeaseLost):
        slow._execute_chunk(piece)
    assert fetch_rows(bulk.app, "tenants") == []
    slow.run(again)
    assert bulk.job(job).state == "succeeded"


@pytest.mark.parametrize("mode", ["partial", "atomic"])
def test_a_chunk_that_kills_its_workers_is_given_up(
    bulk: Bulk, mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1 if mode == "atomic" else 2)
    job = bulk.upload("create", [make_row(1), b"{"], mode=mode)
    dying = BulkWork(bulk.mount, 0)
    for _ in range(5):
        assert len(dying.claim(1)) == 1
    bulk.work()
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        f"chunk {n} of bulk job {job.id} was started 5 times and never finished" for n in range(1, job.chunks + 1)
    ]
    assert [result.problem and result.problem["code"] for result in bulk.results(job)] == [
        "internal-error",
        "malformed-json",
    ]
    assert bulk.job(job).state == "failed"


def refuse_a_name(bulk: Bulk, name: str) -> None:
    """Let the database refuse every tenant of this name, as one with another encoding does."""
    engine, table = get_storage(bulk.app).engine, get_storage(bulk.app).table("tenants").name
    refusing = f"ALTER TABLE {table} ADD CONSTRAINT refusing CHECK (client_name <> '{name}')"
    if engine.dialect.name == "sqlite":
        when = f"ON {table} WHEN NEW.client_name = '{name}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        refusing = f"CREATE TRIGGER refusing_new BEFORE INSERT {when}"
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE TRIGGER refusing_changed BEFORE UPDATE {when}")
    with engine.begin() as connection:
        connection.exec_driver_sql(refusing)


@pytest.mark.parametrize("operation", ["create", "upsert", "update"])
def test_a_row_that_the_database_refuses_fails_alone(bulk: Bulk, operation: str) -> None:
    rows = [make_row(n, external_id=str(n)) for n in range(4)]
    if operation == "update":
        bulk.do("create", rows)
    refuse_a_name(bulk, "no")
    sent = [{**row, "client_name": "no" if n == 1 else "yes"} for n, row in enumerate(rows)]
    job = bulk.upload(operation, sent)
    bulk.work()
    done = 200 if operation == "update" else 201
    assert [(result.status, (result.problem or {}).get("code")) for result in bulk.results(job)] == [
        (done, None), (500, "internal-error"), (done, None), (done, None),
    ]  # fmt: skip
    assert bulk.job(job).state == "partial"
    (chunk,) = fetch_rows(bulk.app, "bulk_chunks", job_id=job.id)
    assert chunk["claims"] == 1


def test_a_chunk_that_always_fails_is_given_up_at_once(bulk: Bulk) -> None:
    job = bulk.upload("create", [make_row(1), make_row(2)])
    table = get_storage(bulk.app).table("bulk_chunks")
    with get_storage(bulk.app).engine.begin() as connection:
        connection.execute(table.update().values(payload=b"no rows at all"))
    bulk.work()
    assert [(result.row, result.status, result.problem) for result in bulk.results(job)] == [
        (n, 500, {"code": "internal-error", "detail": ProvisioningError().detail, "line": n}) for n in (1, 2)
    ]
    assert bulk.job(job).state == "failed"
    (chunk,) = fetch_rows(bulk.app, "bulk_chunks", job_id=job.id)
    assert chunk["claims"] == MAX_CLAIMS + 1


@pytest.mark.parametrize("deaths", [MAX_CLAIMS - 1, MAX_CLAIMS])
def test_the_last_allowed_claim_of_a_chunk_does_its_rows(bulk: Bulk, deaths: int) -> None:
    job, work = bulk.upload("create", [make_row(1)]), BulkWork(bulk.mount, 0)
    for _ in range(deaths):
        assert len(work.claim(1)) == 1, "its worker dies"
    (piece,) = work.claim(1)
    work.run(piece)
    expected = (201, None) if deaths < MAX_CLAIMS else (500, "internal-error")
    assert [(result.status, (result.problem or {}).get("code")) for result in bulk.results(job)] == [expected]


def test_unreachable_database_does_not_fail_a_chunk(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    job, work = bulk.upload("create", [make_row(1)]), BulkWork(bulk.mount, 0)
    for _ in range(2):
        (piece,) = work.claim(1)
        with monkeypatch.context() as away:
            away.setattr(bulk.mount.storage, "read", refuse)
            with pytest.raises(StorageUnavailable):
                work.run(piece)
    (chunk,) = fetch_rows(bulk.app, "bulk_chunks", job_id=job.id)
    assert (chunk["claims"], chunk["leased_until"] is None) == (2, False), "it waits until its claim has ended"


def refuse(*_: Any) -> None:
    raise StorageUnavailable


def test_a_partner_with_few_rows_does_not_wait_for_one_with_many(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    bulk.upload("create", [make_row(n) for n in range(200)])
    other = Bulk(bulk.app, Caller(bulk.app))
    job = other.upload("create", [make_row(1)])
    work = BulkWork(bulk.mount, 30)
    for _ in range(50):
        for piece in work.claim(1):
            work.run(piece)
    assert other.job(job).state == "succeeded"


def test_an_upload_that_breaks_leaves_nothing(bulk: Bulk) -> None:
    with pytest.raises(UploadFormatError):
        bulk.upload("create", 'client_name,email\nA,"a@x.example\n')
    assert fetch_rows(bulk.app, "bulk_jobs") == fetch_rows(bulk.app, "bulk_chunks") == []


def test_cancelled_job_resumes_after_its_last_chunk(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 2)
    job = bulk.upload("create", [make_row(n) for n in range(10)])
    work = BulkWork(bulk.mount, 30)
    (piece,) = work.claim(1)
    seen = bulk.act(actions.cancel_job, job)
    assert (seen.job.state, seen.processed, work.claim(1)) == ("cancelled", 0, [])
    work.run(piece)
    assert bulk.act(actions.load_progress, job).processed == 2, "a chunk that is being done ends"
    assert bulk.act(actions.cancel_job, job).job.state == "cancelled"
    assert bulk.act(actions.resume_job, job).job.state == "running"
    bulk.work()
    seen = bulk.act(actions.load_progress, job)
    assert (seen.job.state, seen.processed, seen.tally) == ("succeeded", 10, (10, 0, 0))
    for again in (actions.cancel_job, actions.resume_job):
        with pytest.raises(InvalidState):
            bulk.act(again, job)


def test_atomic_job_cancelled_while_running_leaves_nothing(bulk: Bulk) -> None:
    job = bulk.upload("create", [make_row(1)], mode="atomic")
    work = BulkWork(bulk.mount, 30)
    (piece,) = work.claim(1)
    bulk.act(actions.cancel_job, job)
    work.run(piece)
    assert fetch_rows(bulk.app, "tenants") == []
    assert bulk.act(actions.load_progress, job).job.state == "cancelled"
    bulk.act(actions.resume_job, job)
    bulk.work()
    assert (bulk.job(job).state, len(fetch_rows(bulk.app, "tenants"))) == ("succeeded", 1)


def test_results_are_read_a_page_at_a_time_and_by_state(bulk: Bulk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "CHUNK_ROWS", 3)
    job = bulk.upload(
        "create", [make_row(n, email="nobody" if n % 4 == 0 else f"a{n}@x.example") for n in range(1, 12)]
    )
    bulk.work()

    def iter_results(state: str | None, limit: int) -> list[list[int]]:
        pages, after = [], 0
        while True:
            results, end = bulk.act(actions.list_results, job, state=state, limit=limit, after=after)
            pages.append([result.row for result in results])
            if end is None:
                return pages
            after = end

    assert iter_results(None, 5) == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11]]
    assert iter_results("failed", 1) == [[4], [8]]
    assert iter_results("succeeded", 100) == [[1, 2, 3, 5, 6, 7, 9, 10, 11]]
    assert iter_results("unchanged", 5) == iter_results("skipped", 5) == [[]]


def test_job_is_visible_to_its_partner_only(bulk: Bulk) -> None:
    job, stranger = bulk.upload("create", [make_row(1)]), Bulk(bulk.app, Caller(bulk.app))
    for act in (actions.load_progress, actions.cancel_job, actions.resume_job):
        with pytest.raises(BulkJobNotFound):
            stranger.act(act, job)
    with pytest.raises(BulkJobNotFound):
        stranger.act(actions.list_results, job, state=None, limit=1, after=0)
    assert bulk.act(actions.load_progress, job).job == job
    jobs = bulk.mount.storage.read(lambda session: actions.list_jobs(session, bulk.partner.partner, None, 5, None))
    assert [seen.job for seen in jobs[0]] == [job]
    theirs = bulk.mount.storage.read(
        lambda session: actions.list_jobs(session, stranger.partner.partner, None, 5, None)
    )
    assert theirs == ([], None)


def test_expired_jobs_are_removed(bulk: Bulk) -> None:
    done, waiting = bulk.upload("create", [make_row(1)]), bulk.upload("create", [make_row(2)])
    bulk.work()
    storage = bulk.mount.storage
    assert retention.remove_old_jobs(storage, 30) == 0
    now = storage.clock
    storage.clock = lambda: now() + 31 * 86_400
    assert retention.remove_old_jobs(storage, 30) == 2
    assert {job["id"] for job in fetch_rows(bulk.app, "bulk_jobs")} & {done.id, waiting.id} == set()
    assert fetch_rows(bulk.app, "bulk_chunks") == []


def test_the_first_large_job_collects_the_statistics_of_a_new_table(bulk: Bulk) -> None:
    engine = get_storage(bulk.app).engine
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no server whose planner needs statistics")
    bulk.upload("create", [make_row(n) for n in range(1000)])
    bulk.work()
    with engine.connect() as connection:
        name = get_storage(bulk.app).table("tenants").name
        counted = connection.exec_driver_sql("SELECT reltuples FROM pg_class WHERE oid = to_regclass(%s)", (name,))
        assert counted.scalar() == 1000
