"""Reservations for the tenants of bulk jobs: made before, settled after, and without blocking other writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk import actions, chunks
from flask_tenant_provisioning.bulk.execution import ChunkExecution
from flask_tenant_provisioning.bulk.models import Job
from flask_tenant_provisioning.bulk.worker import MAX_CLAIMS, SingleJobWork
from flask_tenant_provisioning.database.errors import LeaseLost
from flask_tenant_provisioning.tenants.quotas import INSTALLATION, TooFewPlaces
from flask_tenant_provisioning.workers.maintenance import Maintenance
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.database.rows import fetch_rows
from tests.support.hosts import issue_license, make_config

LEASE = 30.0
WAIT = 30.0


def make_row(n: int, **more: Any) -> dict[str, Any]:
    return {"client_name": f"Client {n}", "email": f"row{n}@example.com", "external_id": f"e{n}", **more}


class LimitedPartner:
    """A host with a licence for so many tenants, and a partner with a limit of its own."""

    def __init__(self, database_url: str, licensed: int, most: int | None, **registry: Callable[..., None]) -> None:
        self.clock = Clock()
        provisioning, self.app = TenantProvisioning(clock=self.clock), Flask("host")
        self.app.config.update(
            make_config(PROVISIONING_LICENSE=issue_license(max_tenants=licensed), **LONG_LIVED_TOKENS)
        )
        for operation, hook in registry.items():
            provisioning.hook(f"tenant.{operation}")(hook)
        provisioning.init_app(self.app, database_url)
        self.partner, self.other = Caller(self.app), Caller(self.app)
        self.admin = Caller(self.app, roles=["provisioning-admin"])
        self.bulk = Bulk(self.app, self.partner)
        self.limit(most)
        self.clock.now += 600

    def limit(self, most: int | None) -> None:
        path = f"/partners/{self.partner.partner}"
        assert self.admin("PUT", path, json={"max_tenants": most}).status_code in (200, 201)

    def counters(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of counted tenants and of reserved places, by owner of the counter."""
        names = {INSTALLATION: "licence", self.partner.partner: "partner"}
        return {names[row["partner_id"]]: (row["tenants"], row["reserved"]) for row in fetch_rows(self.app, "usage")}

    def require_exact(self) -> int:
        """Every counter is the number of its living tenants, and no place is reserved; returns the partner's."""
        living = fetch_rows(self.app, "tenants", live=1)
        own = len([row for row in living if row["partner_id"] == self.partner.partner])
        counters = self.counters()
        assert counters.pop("licence") == (len(living), 0)
        assert counters.pop("partner", (own, 0)) == (own, 0)
        return own

    def begin_chunk(self, job: Job) -> tuple[SingleJobWork, chunks.ClaimedChunk, ChunkExecution]:
        """A worker's claim of a chunk for which places are reserved, and what it does next."""
        work = SingleJobWork(self.bulk.mount, LEASE, job)
        (piece,) = work.claim(1)
        execution = ChunkExecution(
            self.bulk.mount, piece, self.bulk.mount.storage.read(lambda s: chunks.load_chunks(s, piece))
        )
        execution.reserve(lambda _seconds: None)
        return work, piece, execution


class Gate:
    """A hook at whose last row a job waits in its transaction."""

    def __init__(self, row: str) -> None:
        self._row, self.reached, self.open = row, threading.Event(), threading.Event()

    def __call__(self, tenant: dict[str, Any]) -> None:
        if tenant["external_id"] == self._row:
            self.reached.set()
            assert self.open.wait(WAIT)


@pytest.fixture
def gate() -> Iterator[Gate]:
    new_gate = Gate("e39")
    yield new_gate
    new_gate.open.set()


@pytest.mark.postgresql
@pytest.mark.parametrize("operation", ["create", "upsert", "delete"])
def test_atomic_job_does_not_block_other_writes(
    postgresql_database: str, gate: Gate, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(tenant: dict[str, Any]) -> None:
        gate(tenant)

    monkeypatch.setattr(actions, "CHUNK_ROWS", 10)
    hook = "delete" if operation == "delete" else "create"
    host = LimitedPartner(postgresql_database, 1_000_000, 1000, **{hook: look})
    if operation == "delete":
        host.bulk.do("create", [make_row(n) for n in range(40)])
    sent = [make_row(n) if operation != "delete" else {"external_id": f"e{n}"} for n in range(40)]
    job = host.bulk.upload(operation, sent, mode="atomic")
    worker = threading.Thread(target=host.bulk.work)
    worker.start()
    assert gate.reached.wait(WAIT)
    tenants = [caller.create(external_id="mine") for caller in (host.other, host.partner)]
    assert host.other("DELETE", f"/tenants/{tenants[0]['tenant']}").status_code == 200
    assert host.bulk.job(job).finished_at is None, "it is still in its transaction"
    gate.open.set()
    worker.join(WAIT)
    assert host.bulk.job(job).state == "succeeded"
    assert host.require_exact() == (1 if operation == "delete" else 41)


def test_reservations_count_against_the_quota(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(n) for n in range(4)])
    work, piece, _ = host.begin_chunk(job)
    assert host.counters() == {"licence": (0, 4), "partner": (0, 4)}
    response = host.partner("POST", "/tenants", json=make_row(9))
    assert (response.status_code, response.get_json()["code"]) == (403, "quota-exceeded")
    host.other.create()
    work.run(piece)
    assert host.bulk.job(job).succeeded == host.require_exact() == 4


def test_only_missing_tenants_reserve_places(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 10)
    host.bulk.do("upsert", [make_row(0), make_row(1)])
    job = host.bulk.upload("upsert", [make_row(n % 4, plan="gold") for n in range(8)] + [make_row(9, email="no")])
    work, piece, _ = host.begin_chunk(job)
    assert host.counters() == {"licence": (2, 2), "partner": (2, 2)}
    work.run(piece)
    assert host.require_exact() == 4


@pytest.mark.parametrize("mode", ["partial", "atomic"])
@pytest.mark.parametrize(("licensed", "most", "scope"), [(3, 5, None), (5, 3, "partner"), (3, None, None)])
def test_a_limit_that_stops_a_job_leaves_counters_exact(
    database_url: str, mode: str, licensed: int, most: int | None, scope: str | None
) -> None:
    host = LimitedPartner(database_url, licensed, most)
    host.partner.create(email="taken@example.com")
    sent = [make_row(0), make_row(1, email="taken@example.com"), make_row(2), make_row(3), make_row(4)]
    results = host.bulk.do("create", sent, mode=mode)
    assert [(result.problem or {}).get("code") for result in results] == [
        None, "tenant-exists", None, "quota-exceeded", "quota-exceeded",
    ]  # fmt: skip
    problem = results[-1].problem or {}
    assert (problem["limit"], problem.get("partner")) == (3, host.partner.partner if scope else None)
    assert host.require_exact() == (1 if mode == "atomic" else 3)


def test_row_refused_by_a_hook_returns_its_reservation(database_url: str) -> None:
    def refuse(tenant: dict[str, Any]) -> None:
        if tenant["external_id"] in ("e1", "e2"):
            raise ZeroDivisionError

    host = LimitedPartner(database_url, 10, 3, create=refuse)
    results = host.bulk.do("create", [make_row(n) for n in range(6)])
    assert [result.status for result in results] == [201, 500, 500, 201, 201, 403]
    assert host.require_exact() == 3


def test_dry_run_reserves_nothing(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 2)
    job = host.bulk.upload("create", [make_row(n) for n in range(3)], dry_run=True)
    work, piece, _ = host.begin_chunk(job)
    assert set(host.counters().values()) == {(0, 0)}
    work.run(piece)
    assert [result.status for result in host.bulk.results(job)] == [201, 201, 403]
    assert host.require_exact() == 0


def test_next_claim_returns_the_reservation_of_a_dead_worker(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(n) for n in range(3)])
    host.begin_chunk(job)
    host.clock.now += LEASE
    _, _, execution = host.begin_chunk(job)
    assert host.counters() == {"licence": (0, 3), "partner": (0, 3)}
    host.bulk.mount.storage.transaction(execution.execute)
    assert host.require_exact() == 3


def test_maintenance_returns_abandoned_reservations(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(n) for n in range(3)])
    _, _, execution = host.begin_chunk(job)
    host.bulk.act(actions.cancel_job, job)
    chores = Maintenance(host.bulk.mount)
    chores.run()
    assert host.counters()["partner"] == (0, 3), "its worker is not known to be dead"
    host.clock.now += LEASE
    for _ in range(2):
        chores.run()
        assert host.require_exact() == 0
    with pytest.raises(LeaseLost):
        host.bulk.mount.storage.transaction(execution.execute)
    assert host.require_exact() == 0, "a worker that lives after all makes nothing without its places"
    host.bulk.act(actions.resume_job, job)
    host.bulk.work()
    assert host.require_exact() == 3


@pytest.mark.parametrize("deaths", [MAX_CLAIMS - 1, MAX_CLAIMS])
def test_returned_places_do_not_count_as_claims(database_url: str, deaths: int) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(0)])
    for _ in range(deaths):
        host.begin_chunk(job)
        host.clock.now += LEASE
        Maintenance(host.bulk.mount).run()
        assert host.counters()["partner"] == (0, 0), "its worker died, and its place was returned"
    host.bulk.work()
    expected = (201, None) if deaths < MAX_CLAIMS else (500, "internal-error")
    assert [(result.status, (result.problem or {}).get("code")) for result in host.bulk.results(job)] == [expected]
    assert host.require_exact() == (1 if deaths < MAX_CLAIMS else 0)


def test_cancelled_job_returns_its_reservation(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(n) for n in range(3)], mode="atomic")
    work, piece, _ = host.begin_chunk(job)
    host.bulk.act(actions.cancel_job, job)
    work.run(piece)
    assert host.require_exact() == 0


def test_a_chunk_waits_for_places_that_others_may_give_back(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = LimitedPartner(database_url, 4, None)
    other = Bulk(host.app, host.other)
    theirs = other.upload("create", [make_row(n) for n in range(3)], mode="atomic")
    work, piece, _ = host.begin_chunk(theirs)
    mine = host.bulk.upload("create", [make_row(n) for n in range(4)])
    waits = list[float]()

    def finish_their_chunk(seconds: float) -> None:
        waits.append(seconds)
        assert host.counters()["licence"] == (0, 3), "who waits holds nothing"
        other.act(actions.cancel_job, theirs)
        work.run(piece)

    patient = SingleJobWork(host.bulk.mount, LEASE, mine, finish_their_chunk)
    (own,) = patient.claim(1)
    patient.run(own)
    assert len(waits) == 1
    assert host.bulk.job(mine).succeeded == host.require_exact() == 4


def test_chunk_that_exactly_fits_the_quota_does_not_wait(database_url: str) -> None:
    host = LimitedPartner(database_url, 7, None)
    host.begin_chunk(Bulk(host.app, host.other).upload("create", [make_row(n) for n in range(3)], mode="atomic"))
    mine, waits = host.bulk.upload("create", [make_row(n) for n in range(4)]), list[float]()
    work = SingleJobWork(host.bulk.mount, LEASE, mine, waits.append)
    (own,) = work.claim(1)
    work.run(own)
    assert (waits, host.bulk.job(mine).succeeded) == ([], 4)


def test_a_chunk_does_not_wait_for_ever(database_url: str) -> None:
    host = LimitedPartner(database_url, 4, None)
    theirs = Bulk(host.app, host.other).upload("create", [make_row(n) for n in range(3)], mode="atomic")
    host.begin_chunk(theirs)
    mine = host.bulk.upload("create", [make_row(n) for n in range(4)])
    waits = list[float]()
    patient = SingleJobWork(host.bulk.mount, LEASE, mine, waits.append)
    (own,) = patient.claim(1)
    patient.run(own)
    assert sum(waits) == pytest.approx(4.9)
    assert host.bulk.job(mine).succeeded == 1
    assert host.counters()["licence"] == (1, 3)


def test_a_tenant_that_is_gone_by_then_gets_a_place_too(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    tenant = host.partner.create(external_id="e0")
    job = host.bulk.upload("upsert", [make_row(0), make_row(1)])
    _, _, execution = host.begin_chunk(job)
    assert host.counters()["partner"] == (1, 1)
    assert host.partner("DELETE", f"/tenants/{tenant['tenant']}").status_code == 200
    storage = host.bulk.mount.storage
    with pytest.raises(TooFewPlaces):
        storage.transaction(execution.execute)
    execution.reserve(lambda _seconds: None, for_all=True)
    storage.transaction(execution.execute)
    assert host.require_exact() == 2


def test_a_limit_that_goes_and_comes_while_a_job_is_done_stays_exact(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, 4)
    job = host.bulk.upload("create", [make_row(n) for n in range(2)])
    _, _, execution = host.begin_chunk(job)
    host.limit(None)
    host.limit(3)
    host.bulk.mount.storage.transaction(execution.execute)
    assert host.require_exact() == 2
    host.clock.now += 600
    assert host.partner("POST", "/tenants", json=make_row(8)).status_code == 201
    assert host.partner("POST", "/tenants", json=make_row(9)).status_code == 403
    assert host.require_exact() == 3


def test_a_limit_that_comes_while_a_job_is_done_counts_its_tenants(database_url: str) -> None:
    host = LimitedPartner(database_url, 10, None)
    job = host.bulk.upload("create", [make_row(n) for n in range(2)])
    _, _, execution = host.begin_chunk(job)
    host.limit(5)
    host.bulk.mount.storage.transaction(execution.execute)
    assert host.require_exact() == 2
