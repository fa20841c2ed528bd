"""The example of an API in a process of its own: a host on SQLAlchemy 1.4 and the API, each with its own packages."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.callers import EXAMPLE
from tests.support.database import postgresql
from tests.support.hosts import PREFIX
from tests.support.servers import Address, send_request
from tests.support.snippets import ROOT
from tests.support.storms.server import environment, signed_token
from tests.support.waiting import wait_for

FOLDER = ROOT / "examples/separate_process"
pytestmark = [pytest.mark.slow, pytest.mark.blueprint("an app of its own, whatever the mount")]


@pytest.fixture(scope="module")
def old_packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SQLAlchemy 1.4, which stands before all other packages of the host's process."""
    folder = tmp_path_factory.mktemp("packages")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    result = subprocess.run([*pip, "--no-deps", "--target", folder, "sqlalchemy<2"], capture_output=True, text=True)
    if result.returncode:
        pytest.skip(f"SQLAlchemy 1.4 cannot be installed here: {result.stderr[-200:]}")
    return folder


class Processes(NamedTuple):
    """The address of the host, and the API's process behind it."""

    host: Address
    api: subprocess.Popen[bytes]


@contextlib.contextmanager
def serve(app: str, port: int, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Serve one of the example's apps by waitress until the block ends."""
    command = [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", "--call", app]
    with (folder / f"{app.partition(':')[0]}.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=FOLDER, env={**os.environ, **variables}, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def processes(tmp_path: Path, old_packages: Path) -> Iterator[Processes]:
    ports, url = (postgresql.find_free_port(), postgresql.find_free_port()), f"sqlite:///{tmp_path}/host.db"
    own = {"DATABASE_URL": url, "API_PORT": str(ports[1]), "PYTHONPATH": str(old_packages)}
    with (
        serve("host:create_app", ports[0], tmp_path, **own),
        serve(
            "api:create_app",
            ports[1],
            tmp_path,
            **environment(PROVISIONING_DATABASE_URL=url, PROVISIONING_AUTO_MIGRATE=True),
        ) as api,
    ):
        servers = Processes(("127.0.0.1", ports[0]), api)
        ready = wait_for(lambda: get_status(servers.host, f"{PREFIX}/health/ready") == 200)
        assert ready, [log.read_text() for log in tmp_path.glob("*.log")]
        yield servers


def get_status(address: Address, path: str) -> int:
    """The status of an answer; 0 where there is none."""
    try:
        return send_request(address, "GET", path, "").status
    except OSError:
        return 0


def test_a_host_on_sqlalchemy_1_4_serves_the_api_of_another_process(processes: Processes) -> None:
    token = signed_token("acme")
    before = send_request(processes.host, "GET", "/", "").json()
    assert before["sqlalchemy"].startswith("1.4.")
    assert before["workspaces"] == []

    created = send_request(processes.host, "POST", f"{PREFIX}/tenants", token, EXAMPLE)
    assert created.status == 201, created
    location = created.headers["Location"]
    assert location == f"{PREFIX}/tenants/{created.json()['tenant']}"
    assert send_request(processes.host, "GET", location, token).json() == created.json()
    assert send_request(processes.host, "GET", "/", "").json()["workspaces"] == [EXAMPLE["client_name"]]

    rows = b"".join(
        json.dumps({**EXAMPLE, "email": f"{n}@example.com", "client_name": f"No {n}"}).encode() + b"\n"
        for n in range(2000)
    )
    typed = {"Content-Type": "application/x-ndjson"}
    upload = send_request(processes.host, "POST", f"{PREFIX}/bulk-jobs", token, rows, **typed)
    assert (upload.status, upload.json()["total"]) == (202, 2000)
    refused = send_request(processes.host, "POST", f"{PREFIX}/tenants", token, {})
    assert (refused.status, refused.headers["Content-Type"]) == (400, "application/problem+json")
    assert refused.json()["instance"] == f"{PREFIX}/tenants"


def test_host_works_while_the_api_is_down(processes: Processes) -> None:
    processes.api.kill()
    processes.api.wait(30)
    assert get_status(processes.host, f"{PREFIX}/health/ready") == 502
    assert get_status(processes.host, "/") == 200
