"""Bulk jobs through the client."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tenant_provisioning_client import BulkJobNotFound, InvalidState, MalformedUpload, Progress
from tests.support.callers import Caller
from tests.support.client.connections import Connections, Time
from tests.support.client.faulty_server import FaultyServer, drop, lose_response, refuse
from tests.support.client.hosts import ClientHost

ROWS = [{"client_name": f"Client {number}", "email": f"u{number}@example.com"} for number in (1, 2)]
CSV = b"client_name,email\nClient 1,u1@example.com\nClient 2,u2@example.com\n"
JSON = (
    b'[{"client_name": "Client 1", "email": "u1@example.com"}, {"client_name": "Client 2", "email": "u2@example.com"}]'
)


class Pipe(io.RawIOBase):
    """A file that cannot be read twice."""

    def __init__(self, content: bytes) -> None:
        self._rest = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._rest.read(size)


def write(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


SOURCES: dict[str, Callable[[Path], tuple[Any, dict[str, Any]]]] = {
    "a path": lambda folder: (write(folder, "rows.csv", CSV), {}),
    "a packed path as a text": lambda folder: (str(write(folder, "ROWS.CSV.GZ", gzip.compress(CSV))), {}),
    "a path of JSON": lambda folder: (write(folder, "rows.json", JSON), {}),
    "a file in memory": lambda folder: (io.BytesIO(CSV), {"format": "csv"}),
    "a pipe": lambda folder: (Pipe(CSV), {"format": "csv"}),
    "a list of rows": lambda folder: (ROWS, {}),
    "a generator of rows": lambda folder: ((dict(row) for row in ROWS), {}),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_source_is_uploaded_and_repeated_as_one_job(
    connect: Connections,
    faulty: FaultyServer,
    caller: Caller,
    client_host: ClientHost,
    tmp_path: Path,
    source: str,
) -> None:
    client = connect(faulty.url, caller.token, time=Time())
    faulty.faults += [drop, lose_response, refuse(429, "too-many-long-requests", Retry_After="1")]
    given, options = SOURCES[source](tmp_path)
    job = client.bulk.upload(given, wait=False, **options)
    assert len({request.body for request in faulty.requests}) == len({*faulty.list_keys()}) == 1
    client_host.work()
    finished = client.bulk.wait(job)
    assert (finished.state, finished.total, finished.succeeded) == ("succeeded", 2, 2)
    assert sorted(tenant.email for tenant in client.tenants.list()) == ["u1@example.com", "u2@example.com"]
    assert [listed.job for listed in client.bulk.list()] == [job.job]


def test_an_upload_takes_as_long_as_it_takes(connect: Connections, faulty: FaultyServer, caller: Caller) -> None:
    time = Time()

    def let_time_pass(progress: Progress) -> None:
        time.now += 1000

    client = connect(faulty.url, caller.token, time=time)
    faulty.faults.append(lose_response)
    assert client.bulk.upload(ROWS, wait=False, progress=let_time_pass).total == 2
    assert time.waits == [0.5]


def test_a_file_is_uploaded_from_where_it_stands_and_left_open(client: Any) -> None:
    file = io.BytesIO(b"A line before.\n" + CSV)
    file.readline()
    assert client.bulk.upload(file, format="csv", wait=False).total == 2
    assert not file.closed


@pytest.mark.parametrize(
    ("source", "options", "error", "message"),
    [
        ("rows.xlsx", {}, ValueError, "pass format="),
        (io.BytesIO(CSV), {}, ValueError, "pass format="),
        (io.StringIO("client_name\n"), {"format": "csv"}, TypeError, "binary mode"),
        (CSV, {"format": "csv"}, TypeError, "not bytes"),
        ({"client_name": "x"}, {}, TypeError, "not dict"),
        (["row"], {}, TypeError, "A row is a mapping"),
        (7, {}, TypeError, "not int"),
        ("missing.csv", {}, FileNotFoundError, "missing"),
    ],
)
def test_what_is_no_source_is_refused_before_anything_is_sent(
    connect: Connections, faulty: FaultyServer, source: Any, options: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        connect(faulty.url).bulk.upload(source, **options)
    assert faulty.requests == []


def test_a_file_that_cannot_be_split_is_refused_as_a_whole(client: Any, tmp_path: Path) -> None:
    with pytest.raises(MalformedUpload) as refused:
        client.bulk.upload(write(tmp_path, "rows.json", JSON[:-1]))
    assert refused.value.status == 400
    assert [*client.bulk.list()] == []


def test_progress_is_told_and_the_failed_rows_are_listed(embedded_host: ClientHost, connect: Connections) -> None:
    rows = [*ROWS, {"client_name": "Client 3", "email": "u3@"}, ROWS[0]]
    told: list[Progress] = []
    client = connect(embedded_host.url, embedded_host.make_caller().token)
    job = client.bulk.upload(rows, progress=told.append)
    failed = [(item.row, item.problem.code) for item in client.bulk.items(job, state="failed", limit=1)]
    assert (job.state, job.succeeded, job.failed, job.finished_at is None) == ("partial", 2, 2, False)
    assert failed == [(3, "validation-error"), (4, "tenant-exists")]
    assert told[0] == Progress(told[0].size, told[0].size)
    assert [progress.job is None for progress in told] == [True] + [False] * (len(told) - 1)
    assert told[-1].job == job


def test_a_stream_of_progress_that_breaks_is_followed_by_asking(
    connect: Connections, faulty: FaultyServer, caller: Caller, client_host: ClientHost
) -> None:
    time = Time()
    client = connect(faulty.url, caller.token, time=time)
    job = client.bulk.upload(ROWS, wait=False)

    def break_off(handler: Any) -> None:
        content = b'event: progress\ndata: {"job": \n\n'
        handler.respond(200, content, {"Content-Type": "text/event-stream", "Content-Length": "1000"})
        handler.hang_up()

    time.on_wait = lambda seconds: client_host.work() if len(time.waits) == 3 else None
    passed = iter([break_off, drop, refuse(503, "server-busy", Retry_After="1")])
    faulty.choose = lambda request: next(passed, None) if request.path.endswith("/progress") else None
    states = [(state.state, state.processed) for state in client.bulk.follow(job)]
    assert (states[0], states[-1]) == (("queued", 0), ("succeeded", 2))
    assert time.waits == [1.0, 2.0, 4.0]


def test_an_upload_whose_job_cannot_be_followed_says_how_to_go_on(
    connect: Connections, faulty: FaultyServer, caller: Caller
) -> None:
    client = connect(faulty.url, caller.token, time=Time())
    faulty.choose = lambda request: refuse(401, "invalid-token") if request.method == "GET" else None
    with pytest.raises(Exception, match="invalid-token") as raised:
        client.bulk.upload(ROWS)
    assert "bulk.wait('" in raised.value.__notes__[-1]


def test_a_job_is_cancelled_and_resumed(client: Any, client_host: ClientHost) -> None:
    job = client.bulk.upload(ROWS, wait=False, validate_only=True)
    assert client.bulk.cancel(job).state == "cancelled"
    assert client.bulk.resume(job).state in ("queued", "running")
    client_host.work()
    assert (client.bulk.get(job.job).succeeded, [*client.tenants.list()]) == (2, [])
    with pytest.raises(InvalidState):
        client.bulk.cancel(job)
    with pytest.raises(BulkJobNotFound):
        client.bulk.get("0194f0b2-3b40-7cc3-98c4-dc0c0c07398f")


@pytest.mark.slow
def test_ten_thousand_rows_are_imported_and_listed(embedded_host: ClientHost, connect: Connections) -> None:
    count = 10_000

    def rows() -> Iterator[dict[str, Any]]:
        for number in range(count):
            email = "wrong" if number % 1000 == 999 else f"u{number}@example.com"
            yield {"client_name": f"Client {number}", "email": email, "external_id": f"crm-{number}", "seats": number}

    told: list[Progress] = []
    client = connect(embedded_host.url, embedded_host.make_caller().token)
    job = client.bulk.upload(rows(), progress=told.append)
    failed = [(item.row, item.problem.code) for item in client.bulk.items(job, state="failed")]
    seats = sorted(tenant["seats"] for tenant in client.tenants.list(limit=1000))
    events = [event.data.external_id for event in client.events.list(type="tenant.created", limit=1000)]
    assert (job.state, job.total, job.succeeded, job.failed) == ("partial", count, count - 10, 10)
    assert failed == [(row, "validation-error") for row in range(1000, count + 1, 1000)]
    assert seats == [number for number in range(count) if number % 1000 != 999]
    assert sorted(events) == sorted(f"crm-{number}" for number in seats)
    sent = [progress.sent for progress in told if progress.job is None]
    assert sent == sorted(sent)
    assert sent[-1] == told[-1].size > 10 * 64 * 1024
