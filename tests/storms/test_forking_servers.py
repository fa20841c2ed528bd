"""Servers that load the host and then fork: no worker talks on a connection of its parent's, or gets another's rows."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.database import postgresql
from tests.support.servers import Address, run_concurrently, send_request
from tests.support.storms.server import environment, signed_token

pytestmark = [pytest.mark.slow, pytest.mark.alone("four processes that are to answer side by side")]

CALLS = 2_000
CLIENTS = 8
PARTNERS = ("red", "blue")
#: The API of the second mount stands beside the first, on the same engine.
PREFIXES = ("/api/provisioning", "/second")


def gunicorn(address: Address) -> list[str]:
    options = ["--preload", "--workers=4", "--threads=4", f"--bind={address[0]}:{address[1]}", "--timeout=120"]
    return [sys.executable, "-m", "gunicorn", *options, "tests.support.storms.forking_host:app"]


def uwsgi(address: Address) -> list[str]:
    binary = shutil.which("uwsgi", path=sysconfig.get_path("scripts")) or shutil.which("uwsgi")
    if binary is None:
        pytest.skip("uWSGI is not installed")
    options = ["--master", "--processes=4", "--threads=4", f"--http-socket={address[0]}:{address[1]}"]
    return [binary, *options, "--module=tests.support.storms.forking_host:app", "--need-app", "--die-on-term"]


SERVERS = {"gunicorn": gunicorn, "uwsgi": uwsgi}


@pytest.fixture(params=SERVERS)
def address(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[Address]:
    """The address of a host that four processes serve and one has loaded."""
    if request.param == "gunicorn" and importlib.util.find_spec("gunicorn") is None:
        pytest.skip("gunicorn is not installed")
    free_address = ("127.0.0.1", postgresql.find_free_port())
    root = Path(__file__).resolve().parents[2]
    config = {"PROVISIONING_AUTO_MIGRATE": True, "PROVISIONING_DATABASE_URL": database_url}
    env = {**environment(**config), "HOST_DATABASE_URL": database_url, "PYTHONPATH": str(root)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            SERVERS[request.param](free_address), cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            end = time.monotonic() + 60
            while not answers(free_address):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((tmp_path / "log").read_text()[-3000:])
                time.sleep(0.05)
            yield free_address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(address: Address) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):
        return send_request(address, "GET", "/", "").status == 200
    return False


def test_workers_of_a_server_that_forks_share_no_connection(address: Address) -> None:
    processes: set[bytes] = set()
    end = time.monotonic() + 60
    while len(processes) < 2 and time.monotonic() < end:  # on a busy machine one process may answer many in a row
        processes |= {
            reply.body for reply in run_concurrently(CLIENTS, lambda _: send_request(address, "GET", "/", ""))
        }
    assert len(processes) > 1
    outcomes = run_concurrently(CLIENTS, lambda number: call(address, number))
    assert [each for each in outcomes if not isinstance(each, Counter)] == []
    assert sum(outcomes, Counter()) == {"served": CALLS}


def call(address: Address, number: int) -> Counter[str]:
    """Create, read and list as one partner, and count what came of it."""
    partner, prefix = PARTNERS[number % 2], PREFIXES[number // 2 % 2]
    token, chance = signed_token(partner), random.Random(number)
    outcomes: Counter[str] = Counter()
    tenants: list[str] = []
    for turn in range(CALLS // CLIENTS):
        if not tenants or chance.random() < 0.4:
            body = {"client_name": partner, "email": f"{partner}-{number}-{turn}@example.com"}
            reply = send_request(address, "POST", f"{prefix}/tenants", token, body)
            right = reply.status == 201 and json.loads(reply.body)["client_name"] == partner
            tenants += [json.loads(reply.body)["tenant"]] if right else []
        elif chance.random() < 0.5:
            tenant = chance.choice(tenants)
            reply = send_request(address, "GET", f"{prefix}/tenants/{tenant}", token)
            right = reply.status == 200 and json.loads(reply.body)["tenant"] == tenant
        else:
            reply = send_request(address, "GET", f"{prefix}/tenants?limit=100", token)
            right = reply.status == 200 and {item["client_name"] for item in reply.json()["items"]} == {partner}
        outcomes["served" if right else f"{reply.status} {reply.body[:200]!r}"] += 1
    return outcomes
