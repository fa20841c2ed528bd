"""The example of a Celery host, run as its README says: a web server, a worker and a beat, on each broker."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import EXAMPLE
from tests.support.database import postgresql
from tests.support.hosts import PREFIX
from tests.support.servers import Address, send_request
from tests.support.storms.server import environment, signed_token
from tests.support.waiting import wait_for
from tests.support.workers import brokers
from tests.support.workers.brokers import Broker

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "celery_host"
pytestmark = pytest.mark.slow


@contextlib.contextmanager
def run_example(folder: Path, part: Broker) -> Iterator[Address]:
    """The example's processes, with what they keep in `folder`; yields the web server's address."""
    address = "127.0.0.1", postgresql.find_free_port()
    prefix = {"broker_transport_options": part.settings()["broker_transport_options"]} if part.kind == "redis" else {}
    config = environment(BROKER_URL=part.url, CELERY={**part.names(), **prefix})
    own = {**config, "INSTANCE_PATH": str(folder), "FLASK_RUN_PORT": str(address[1])}
    celery = ["celery", "-A", "make_celery"]
    beat = ["beat", "-s", str(folder / "beat")]
    with (folder / "log").open("ab") as log:
        processes = [
            subprocess.Popen([sys.executable, "-m", *command], cwd=FOLDER, env=own, stdout=log, stderr=log)
            for command in (["flask", "run"], [*celery, "worker", "-c", "1"], [*celery, *beat])
        ]
    try:
        assert wait_for(lambda: is_ready(address), 30), (folder / "log").read_text()
        yield address
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        assert [process.wait(30) for process in processes] == [-signal.SIGTERM, 0, 0]


def is_ready(address: Address) -> bool:
    try:
        return send_request(address, "GET", f"{PREFIX}/health/ready", "").status == 200
    except OSError:
        return False


@pytest.mark.parametrize("kind", brokers.KINDS)
def test_a_tenant_of_the_example_gets_a_workspace_a_bucket_and_a_welcome(kind: str, tmp_path: Path) -> None:
    token = signed_token("acme")
    with brokers.open_broker(kind) as part, run_example(tmp_path, part) as address:
        created = send_request(address, "POST", f"{PREFIX}/tenants", token, EXAMPLE)
        assert (created.status, created.json()["status"]) == (201, "provisioning")
        path = created.headers["Location"]
        assert wait_for(lambda: send_request(address, "GET", path, token).json()["status"] == "active", 30), (
            tmp_path / "log"
        ).read_text()

    there = {path.name: json.loads(path.read_text()) for path in (tmp_path / "cloud").iterdir()}
    workspace = f"workspace-{created.json()['tenant']}"
    assert sorted(name.partition("-")[0] for name in there) == ["bucket", "mail", "workspace"]
    assert there[workspace] == {"owner": EXAMPLE["client_name"]}
    bucket = next(name for name in there if name.startswith("bucket"))
    assert there[bucket] == {"workspace": workspace}
    assert {"to": EXAMPLE["email"], "bucket": bucket} in there.values()
