"""Requests and uploads of one partner make no process grow by more than 64 MiB over its idle memory."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.support.callers import Caller
from tests.support.hosts import PREFIX, make_host
from tests.support.memory import MIB, Processes, run_processes

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MOST = 64 * MIB
JSON, NDJSON, CSV = "application/json", "application/x-ndjson", "text/csv"
WIDE = "\U00020000"  # four bytes of UTF-8


class Client:
    """A partner who calls the server."""

    def __init__(self, processes: Processes, token: str) -> None:
        self._processes, self._token = processes, token

    def __call__(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self._processes.address, timeout=600)
        sent = {"Authorization": f"Bearer {self._token}", "Content-Type": JSON}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, PREFIX + path, body, sent)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def job(self, body: bytes, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        """Upload a job and wait until it has ended."""
        status, text = self("POST", f"/bulk-jobs{query}", body, **{"Content_Type": NDJSON, **headers})
        document = json.loads(text)
        while status == 202 and document["finished_at"] is None:
            time.sleep(0.2)
            document = json.loads(self("GET", f"/bulk-jobs/{document['job']}")[1])
        return status, document


@pytest.fixture
def processes(database_url: str) -> Iterator[Processes]:
    with run_processes(database_url) as workers:
        yield workers


@pytest.fixture
def client(database_url: str, processes: Processes) -> Client:
    return Client(processes, Caller(make_host(database_url), "acme").token)


def require_small(processes: Processes, what: str) -> None:
    server, worker = processes.server.growth(), processes.worker.growth()
    print(f"{what}: server {server / MIB:.1f} MiB, worker {worker / MIB:.1f} MiB")
    assert max(server, worker) <= MOST, f"{what}: server {server / MIB:.1f} MiB, worker {worker / MIB:.1f} MiB"
    processes.server.forget()
    processes.worker.forget()


def metadata(number: int) -> dict[str, str]:
    """The largest metadata that a tenant may have."""
    return {f"{n:02}{WIDE * 38}": f"{number:06}" + WIDE * 494 for n in range(50)}


def tenant(number: int, **more: Any) -> dict[str, Any]:
    return {"client_name": "x", "email": f"u{number}@example.com", "external_id": f"e{number}", **more}


def lines(rows: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def names(count: int, times: int) -> bytes:
    """Rows of so many names that no field has."""
    return (b"{" + b",".join(b'"%x":0' % n for n in range(count)) + b"}\n") * times


def table() -> bytes:
    """Rows of two kilobytes that are 50 as JSON, packed into a few bytes each."""
    header = ",".join(f"metadata.{n:03}{'x' * 36}" for n in range(990))
    return gzip.compress((header + "\n" + (",".join(["1"] * 990) + "\n") * 2000).encode())


#: Uploads of every kind that is small and becomes large: the job's mode, its bytes, its headers.
UPLOADS: dict[str, tuple[str, Callable[[], bytes], dict[str, str]]] = {
    "a table of wide names": ("partial", table, {"Content_Type": CSV, "Content_Encoding": "gzip"}),
    "rows of 110 unknown names": ("partial", lambda: names(110, 10_000), {}),
    "rows of 66 unknown names in one transaction": ("atomic", lambda: names(66, 10_000), {}),
    "rows of 25,000 unknown names": ("partial", lambda: names(25_000, 20), {}),
    "rows of empty lists": ("partial", lambda: b'{"metadata":[' + b",".join([b"[]"] * 80_000) + b"]}\n", {}),
    "10,000 rows in one transaction": ("atomic", lambda: lines(map(tenant, range(10_000))), {}),
    "rows of 800 bytes in one transaction": (
        "atomic",
        lambda: lines(tenant(n, metadata={"k": "v" * 500, "l": "w" * 180}) for n in range(20_000, 25_900)),
        {},
    ),
    "the largest rows in one transaction": (
        "atomic",
        lambda: lines(tenant(n, metadata=metadata(n)) for n in range(30_000, 30_046)),
        {},
    ),
}


def test_no_bulk_job_makes_a_process_large(client: Client, processes: Processes) -> None:
    for what, (mode, body, headers) in UPLOADS.items():
        status, job = client.job(body(), f"?mode={mode}", **headers)
        assert status == 202, job
        require_small(processes, f"{what}, done")
        for kind in (JSON, NDJSON, CSV):
            query = "?limit=1000" if kind == JSON else ""
            assert client("GET", f"/bulk-jobs/{job['job']}/items{query}", Accept=kind)[0] in (200, 406)
            require_small(processes, f"{what}, read as {kind}")


def test_no_list_makes_a_process_large(client: Client, processes: Processes) -> None:
    status, job = client.job(lines(tenant(n, metadata=metadata(n)) for n in range(300)))
    assert (status, job["state"]) == (202, "succeeded")
    tenant_id = json.loads(client("GET", "/tenants?limit=1")[1])["items"][0]["tenant"]
    for n in range(100):
        body = json.dumps({"metadata": {f"{n % 50:02}{WIDE * 38}": WIDE * 400 + str(n)}}).encode()
        assert client("PATCH", f"/tenants/{tenant_id}", body)[0] == 200
    require_small(processes, "made")
    for path in ("/tenants?limit=1000", "/events?limit=1000", f"/events?limit=1000&tenant={tenant_id}"):
        assert client("GET", path)[0] == 200
        require_small(processes, path)
