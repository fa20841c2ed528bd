"""A partner's limit, with servers in three processes and as many workers: as many tenants as it says, and no more."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import postgresql
from tests.servers import Address, Reply, ask, at_once
from tests.storms.server import Server, signed_token
from tests.world import PREFIX

pytestmark = pytest.mark.slow

PROCESSES, LIMIT, THREADS, PATIENCE = 3, 10, 100, 120


@pytest.fixture
def addresses(database_url: str, tmp_path: Path) -> Iterator[list[Address]]:
    """Three servers of one database, each of which works on bulk jobs too."""
    with contextlib.ExitStack() as stack:
        found = []
        for number in range(PROCESSES):
            address = ("127.0.0.1", postgresql._free_port())
            server = Server(address, database_url, tmp_path / f"log-{number}", threads=8)
            server.start()
            stack.callback(server.kill)
            found.append(address)
        yield found


def wanted(number: int) -> dict[str, Any]:
    return {"client_name": f"Client {number}", "email": f"u{number}@example.com"}


def ended(address: Address, token: str, job: str) -> dict[str, Any]:
    """The job, once it has ended."""
    until = time.monotonic() + PATIENCE
    while True:
        found: dict[str, Any] = ask(address, "GET", f"{PREFIX}/bulk-jobs/{job}", token).json()
        if found["finished_at"]:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


@pytest.mark.parametrize("begins", ["before", "meanwhile"])
def test_a_limit_is_exact_in_three_processes(addresses: list[Address], begins: str) -> None:
    admin, token = signed_token("us", "provisioning-admin"), signed_token("acme")

    def limit(most: int) -> None:
        reply = ask(addresses[0], "PUT", f"{PREFIX}/partners/acme", admin, {"max_tenants": most})
        assert reply.status in (200, 201), reply

    def send(number: int) -> Reply:
        address = addresses[number % PROCESSES]
        if number == 50 and begins == "meanwhile":
            limit(LIMIT)
        if number % 5:
            return ask(address, "POST", f"{PREFIX}/tenants", token, wanted(number))
        rows = [wanted(1000 * (number + 1) + row) for row in range(3)]
        return ask(address, "POST", f"{PREFIX}/bulk-jobs", token, rows)

    limit(LIMIT if begins == "before" else LIMIT + 5)
    replies = at_once(THREADS, send)
    statuses = Counter(reply.status for reply in replies)
    jobs = [ended(addresses[0], token, reply.json()["job"]) for reply in replies if reply.status == 202]
    made = statuses[201] + sum(job["succeeded"] for job in jobs)
    assert statuses[202] == len(jobs) == THREADS // 5
    assert statuses[201] + statuses[403] == THREADS - len(jobs)
    listed = ask(addresses[0], "GET", f"{PREFIX}/tenants", token).json()["items"]
    assert len(listed) == made
    assert made == LIMIT if begins == "before" else LIMIT <= made <= LIMIT + 5
    reply = ask(addresses[1], "POST", f"{PREFIX}/tenants", token, wanted(0))
    assert (reply.status, reply.json()["code"], reply.json()["limit"]) == (403, "quota-exceeded", LIMIT)
    for tenant in listed[: made - LIMIT + 1]:
        assert ask(addresses[2], "DELETE", f"{PREFIX}/tenants/{tenant['tenant']}", token).status == 200
    assert ask(addresses[1], "POST", f"{PREFIX}/tenants", token, wanted(-1)).status == 201
    assert ask(addresses[0], "POST", f"{PREFIX}/tenants", token, wanted(-2)).status == 403
