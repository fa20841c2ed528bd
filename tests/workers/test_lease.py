"""Leases: of several workers one wins, and only the holder of a claim writes."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from flask import Flask

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.bulk.models import Job
from flask_tenant_provisioning.bulk.statements import BulkSQL
from flask_tenant_provisioning.database.lease import Lease
from flask_tenant_provisioning.database.session import Storage
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.database.rows import fetch_rows, get_storage
from tests.support.hosts import make_config
from tests.support.servers import run_concurrently

SECONDS = 30.0


class Held(NamedTuple):
    """A claim of the chunk that the tests are about."""

    key: dict[str, Any]
    fence: int


class Chunk:
    """A row with a lease: the only chunk of a bulk job."""

    def __init__(self, app: Flask, clock: Clock) -> None:
        self.app, self.clock = app, clock
        self.storage: Storage = get_storage(app)
        self.lease: Lease = self.storage.once(BulkSQL).lease
        job: Job = Bulk(app, Caller(app)).upload("delete", [{"external_id": "x"}])
        self.key = {"partner_id": job.partner_id, "job_id": job.id, "number": 1}

    def claim(self, seen: int) -> Held | None:
        """Claim the chunk as a worker that has seen this fence."""
        row = (*self.key.values(), seen)
        won = self.storage.transaction(lambda session: self.lease.claim(session, [row], SECONDS))
        assert won in ([], [self.key])
        return Held(self.key, seen + 1) if won else None

    def renew(self, held: Held) -> None:
        self.storage.transaction(lambda session: self.lease.renew(session, [held], SECONDS))

    def release(self, held: Held) -> None:
        self.storage.transaction(lambda session: self.lease.release(session, held))

    def state(self) -> tuple[int, str | None]:
        """The fence, and the end of the lease."""
        (row,) = fetch_rows(self.app, "bulk_chunks")
        return row["fence"], row["leased_until"]


@pytest.fixture
def chunk(database_url: str) -> Chunk:
    clock = Clock()
    provisioning, app = TenantProvisioning(clock=clock), Flask("host")
    app.config.update(make_config())
    provisioning.init_app(app, database_url)
    return Chunk(app, clock)


def require(held: Held | None) -> Held:
    assert held is not None
    return held


def test_concurrent_claims_have_one_winner(chunk: Chunk) -> None:
    won = [held for held in run_concurrently(8, lambda _: chunk.claim(0)) if held is not None]
    assert won == [Held(chunk.key, 1)]
    assert chunk.state()[0] == 1


def test_a_claim_is_free_again_when_its_lease_has_ended(chunk: Chunk) -> None:
    assert chunk.claim(0)
    chunk.clock.now += SECONDS - 0.001
    assert chunk.claim(1) is None
    chunk.clock.now += 0.001
    assert chunk.claim(0) is None, "it has seen an older fence"
    assert chunk.claim(1)


def test_renewing_extends_the_lease(chunk: Chunk) -> None:
    held = require(chunk.claim(0))
    chunk.clock.now += SECONDS - 1
    chunk.renew(held)
    chunk.clock.now += SECONDS - 1
    assert chunk.claim(1) is None


def test_a_lost_claim_renews_and_releases_nothing(chunk: Chunk) -> None:
    lost = require(chunk.claim(0))
    chunk.clock.now += SECONDS
    assert chunk.claim(1)
    before = chunk.state()
    chunk.clock.now += 1
    chunk.renew(lost)
    chunk.release(lost)
    assert chunk.state() == before


def test_a_late_renewal_does_not_bring_a_released_claim_back(chunk: Chunk) -> None:
    held = require(chunk.claim(0))
    chunk.release(held)
    chunk.renew(held)
    assert chunk.state() == (2, None)
    assert chunk.claim(2), "it is free at once"
