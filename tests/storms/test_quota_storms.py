"""A partner's limit, with servers in three processes and as many workers: as many tenants as it says, and no more."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.database import postgresql
from tests.support.hosts import PREFIX
from tests.support.servers import Address, Reply, run_concurrently, send_request
from tests.support.storms.server import Server, signed_token

pytestmark = pytest.mark.slow

PROCESSES, LIMIT, THREADS, PATIENCE = 3, 10, 100, 120


@pytest.fixture
def addresses(database_url: str, tmp_path: Path) -> Iterator[list[Address]]:
    """Three servers of one database, each with a worker for bulk jobs."""
    with contextlib.ExitStack() as stack:
        opened = []
        for number in range(PROCESSES):
            address = ("127.0.0.1", postgresql.find_free_port())
            server = Server(address, database_url, tmp_path / f"log-{number}", threads=8)
            server.start()
            stack.callback(server.kill)
            opened.append(address)
        yield opened


def make_tenant(number: int) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com"}


def wait_for_job(address: Address, token: str, job: str) -> dict[str, Any]:
    """The job, once it has ended."""
    until = time.monotonic() + PATIENCE
    while True:
        document: dict[str, Any] = send_request(address, "GET", f"{PREFIX}/bulk-jobs/{job}", token).json()
        if document["finished_at"]:
            return document
        assert time.monotonic() < until, document
        time.sleep(0.1)


@pytest.mark.parametrize("begins", ["before", "during"])
def test_a_limit_is_exact_in_three_processes(addresses: list[Address], begins: str) -> None:
    admin, token = signed_token("us", "provisioning-admin"), signed_token("acme")

    def limit(most: int) -> None:
        reply = send_request(addresses[0], "PUT", f"{PREFIX}/partners/acme", admin, {"max_tenants": most})
        assert reply.status in (200, 201), reply

    def send(number: int) -> Reply:
        address = addresses[number % PROCESSES]
        if number == 50 and begins == "during":
            limit(LIMIT)
        if number % 5:
            return send_request(address, "POST", f"{PREFIX}/tenants", token, make_tenant(number))
        rows = [make_tenant(1000 * (number + 1) + row) for row in range(3)]
        return send_request(address, "POST", f"{PREFIX}/bulk-jobs", token, rows)

    limit(LIMIT if begins == "before" else LIMIT + 5)
    replies = run_concurrently(THREADS, send)
    statuses = Counter(reply.status for reply in replies)
    jobs = [wait_for_job(addresses[0], token, reply.json()["job"]) for reply in replies if reply.status == 202]
    count = statuses[201] + sum(job["succeeded"] for job in jobs)
    assert statuses[202] == len(jobs) == THREADS // 5
    assert statuses[201] + statuses[403] == THREADS - len(jobs)
    listed = send_request(addresses[0], "GET", f"{PREFIX}/tenants", token).json()["items"]
    assert len(listed) == count
    assert count == LIMIT if begins == "before" else LIMIT <= count <= LIMIT + 5
    reply = send_request(addresses[1], "POST", f"{PREFIX}/tenants", token, make_tenant(0))
    assert (reply.status, reply.json()["code"], reply.json()["limit"]) == (403, "quota-exceeded", LIMIT)
    for tenant in listed[: count - LIMIT + 1]:
        assert send_request(addresses[2], "DELETE", f"{PREFIX}/tenants/{tenant['tenant']}", token).status == 200
    assert send_request(addresses[1], "POST", f"{PREFIX}/tenants", token, make_tenant(-1)).status == 201
    assert send_request(addresses[0], "POST", f"{PREFIX}/tenants", token, make_tenant(-2)).status == 403
