"""Uploads that are wrong, hostile, or come to nothing: a clear answer, and nothing kept."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import socket
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, request
from werkzeug.test import create_environ

from flask_tenant_provisioning.bulk.upload.body import UploadBody
from flask_tenant_provisioning.errors import MalformedUpload, UploadTooSlow
from flask_tenant_provisioning.web.long_requests import (
    GRACE_SECONDS,
    MAX_PAUSE_SECONDS,
    MIN_BYTES_PER_SECOND,
    BodyReader,
    LongRequest,
    Pace,
    RequestSlots,
    Watchdog,
)
from tests.support.assertions import assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX
from tests.support.servers import Address, serve, serve_with_werkzeug
from tests.support.waiting import wait_for

MakeApp = Callable[..., Flask]
JOBS = "/bulk-jobs"
NDJSON = "application/x-ndjson"
TYPES = ["application/json", NDJSON, "application/jsonl", "text/csv"]
MEBIBYTE = 1 << 20
ROW = b'{"client_name":"Example Corp","email":"admin@example.com"}\n'


def upload(partner: Caller, data: bytes, media_type: str = NDJSON, query: str = "", **headers: str) -> Any:
    return partner("POST", f"{JOBS}{query}", data=data, content_type=media_type, headers=headers)


def assert_nothing_is_kept(partner: Caller) -> None:
    for table in ("bulk_jobs", "bulk_chunks", "bulk_keys"):
        assert fetch_rows(partner.app, table, partner_id=partner.partner) == []


class Source(io.RawIOBase):
    """A body that is made as it is read; `taken` counts what was."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._left = filter(None, parts), b""
        self.taken = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        if not self._left:
            self._left = next(self._parts, b"")
        part, self._left = self._left[: len(into)], self._left[len(into) :]
        into[: len(part)] = part
        self.taken += len(part)
        return len(part)


def upload_stream(partner: Caller, source: io.RawIOBase, media_type: str = NDJSON, **headers: str) -> Any:
    """The answer to a body of no known length."""
    environ = {"wsgi.input": source, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    return partner("POST", JOBS, content_type=media_type, headers=headers, environ_overrides=environ)


# What is no upload.

GOES_ON = "A cell continues after its closing quote. Write a quote inside of a cell twice."
UNKNOWN = "The header names columns that rows of this operation do not have: "


@pytest.mark.parametrize(
    ("media_type", "data", "detail", "line"),
    [
        ("application/json", b"{}", "The upload is not a JSON array: it does not begin with [.", 1),
        ("application/json", b'[{"client_name": "A"},\n{"client', "The JSON array ends within a row.", 2),
        ("application/json", b"[1] [2]", "Something follows after the JSON array.", 1),
        ("text/csv", b'client_name,email\n"A,b\n', "A quote is not closed.", 2),
        ("text/csv", b"email,email\n", 'The header names the column "email" twice.', 1),
        (NDJSON, b"", "The body is empty, or the server in front does not pass on chunked bodies.", None),
        (NDJSON, b"\n \n", "The upload has no rows.", None),
        ("application/json", b" [ ] ", "The upload has no rows.", None),
        ("text/csv", b"client_name,email\r\n", "The upload has no rows.", None),
        ("text/csv", b"sep=,\r\nclient_name,email\r\n,\r\n", "The upload has no rows.", None),
        ("text/csv", b'client_name,email\n"A \\"B\\" C",a@example.com\n', GOES_ON, 2),
        ("text/csv", b"client_name,colour,Email\nA,red,a@example.com\n", f'{UNKNOWN}"colour", "Email".', 1),
    ],
)
def test_a_broken_frame_fails_as_a_whole(
    partner: Caller, media_type: str, data: bytes, detail: str, line: int | None
) -> None:
    placed = {} if line is None else {"line": line}
    assert_problem(upload(partner, data, media_type), 400, "malformed-upload", detail, **placed)
    assert_nothing_is_kept(partner)


def test_malformed_array_after_many_rows_stores_none(partner: Caller) -> None:
    data = b"[" + b",\n".join([ROW.strip()] * 2500) + b",\n{"
    assert_problem(
        upload(partner, data, "application/json"),
        400,
        "malformed-upload",
        "The JSON array ends within a row.",
        line=2501,
    )
    assert_nothing_is_kept(partner)


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (ROW, "The upload is not gzip, or it is damaged."),
        (gzip.compress(ROW)[:-6], "The gzip ends too early."),
        (gzip.compress(ROW) + b"more", "The upload is not gzip, or it is damaged."),
    ],
    ids=["none", "cut short", "with more behind it"],
)
def test_a_broken_gzip_fails_as_a_whole(partner: Caller, data: bytes, detail: str) -> None:
    assert_problem(upload(partner, data, **{"Content-Encoding": "gzip"}), 400, "malformed-upload", detail)
    assert_nothing_is_kept(partner)


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/xml", "multipart/form-data; boundary=x"])
def test_other_media_types_are_refused(partner: Caller, media_type: str) -> None:
    response = upload(partner, ROW, media_type)
    detail = f"Send {', '.join(TYPES)}, plain or packed with gzip."
    assert_problem(response, 415, "unsupported-media-type", detail, accepted=TYPES)
    assert (response.headers["Accept"], response.headers["Accept-Encoding"]) == (", ".join(TYPES), "gzip, x-gzip")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "identity, gzip"])
def test_other_encodings_are_refused(partner: Caller, encoding: str) -> None:
    assert upload(partner, ROW, **{"Content-Encoding": encoding}).status_code == 415


@pytest.mark.parametrize("charset", ["iso-8859-1", "utf-16", "windows-1252"])
def test_other_charsets_are_refused(partner: Caller, charset: str) -> None:
    assert_problem(
        upload(partner, ROW, f"text/csv; charset={charset}"),
        415,
        "unsupported-media-type",
        "Send UTF-8.",
        accepted=TYPES,
    )


# Which columns a table may have.

WRITABLE = {"external_id", "client_name", "email", "phone_number", "industry", "plan"}
COLUMNS = {
    "create": WRITABLE,
    "upsert": WRITABLE,
    "update": WRITABLE | {"tenant"},
    "suspend": {"tenant", "external_id", "reason"},
    "reactivate": {"tenant", "external_id"},
    "delete": {"tenant", "external_id"},
}
EVERY = {*WRITABLE, "tenant", "reason", "metadata", "metadata.", "metadata.k", f"metadata.{'k' * 41}", "status", "own"}


@pytest.mark.parametrize("operation", COLUMNS)
def test_a_table_has_the_columns_of_its_operation(partner: Caller, operation: str) -> None:
    more = {"metadata.k", f"metadata.{'k' * 40}"} if "email" in COLUMNS[operation] else set()
    columns = {*COLUMNS[operation], *more, "idempotency_key", "result.anything"}
    query = f"?operation={operation}"
    table = f"{','.join(columns)}\n{','.join('1' for _ in columns)}\n".encode()
    assert upload(partner, table, "text/csv", query=query).status_code == 202
    for name in EVERY - columns:
        response = upload(partner, f"external_id,{name}\n1,\n".encode(), "text/csv", query=query)
        detail = f'The header names a column that rows of this operation do not have: "{name}".'
        assert_problem(response, 400, "malformed-upload", detail, line=1)


def test_a_refusal_lists_a_few_names_and_cuts_them(partner: Caller) -> None:
    names = [f"{n}{'x' * 100}" for n in range(500)]
    response = upload(partner, f"{','.join(names)}\n1\n".encode(), "text/csv")
    detail = UNKNOWN + ", ".join(f'"{name[:64]}…"' for name in names[:5]) + " and 495 more."
    assert_problem(response, 400, "malformed-upload", detail, line=1)
    response = upload(partner, f"{'y' * 5000},{'y' * 5000}\n1\n".encode(), "text/csv")
    assert_problem(response, 400, "malformed-upload", f'The header names the column "{"y" * 64}…" twice.', line=1)


# What is too much.

ROW_TOO_LARGE = "A row is larger than 262144 bytes."


@pytest.mark.parametrize(
    ("config", "query", "data", "detail", "more"),
    [
        ({"PROVISIONING_BULK_MAX_ROWS": 2}, "", ROW * 3, "The upload has more than 2 rows.", {}),
        ({"PROVISIONING_BULK_ATOMIC_ROWS": 1}, "?mode=atomic", ROW * 2, "The upload has more than 1 rows.", {}),
        ({"PROVISIONING_BULK_MAX_BYTES": 1024}, "", ROW * 20, "The upload is larger than 1024 bytes.", {}),
        ({}, "", b'"' + b"x" * MEBIBYTE + b'"', ROW_TOO_LARGE, {"line": 1}),
    ],
)
def test_upload_beyond_the_limit_is_not_stored(
    make_app: MakeApp, config: dict[str, int], query: str, data: bytes, detail: str, more: dict[str, int]
) -> None:
    partner = Caller(make_app(**config))
    assert_problem(upload(partner, data, query=query), 413, "upload-too-large", detail, **more)
    assert_nothing_is_kept(partner)


def test_upload_at_the_limit_is_accepted(make_app: MakeApp) -> None:
    size = 2 * len(ROW)
    config = {"PROVISIONING_BULK_MAX_ROWS": 3, "PROVISIONING_BULK_ATOMIC_ROWS": 2}
    partner = Caller(make_app(**config, PROVISIONING_BULK_MAX_BYTES=1024, PROVISIONING_BULK_ATOMIC_BYTES=1024))
    assert upload(partner, ROW * 3).status_code == 202
    assert upload(partner, ROW * 2, query="?mode=atomic").status_code == 202
    for query, count in (("", 3), ("?mode=atomic", 2)):
        detail = f"The upload has more than {count} rows."
        assert_problem(upload(partner, ROW * (count + 1), query=query), 413, "upload-too-large", detail)
        for packed in (False, True):
            headers = {"Content-Encoding": "gzip"} if packed else {}
            for spare, status in ((0, 202), (1, 413)):
                data = ROW * 2 + b" " * (1024 - size + spare)
                sent = gzip.compress(data) if packed else data
                assert upload(partner, sent, query=query, **headers).status_code == status


def test_the_rows_of_an_atomic_table_are_measured_as_json(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_BULK_ATOMIC_BYTES=1024))
    header, row = b"metadata.abcdefghijklmno\n", len(b'{"metadata.abcdefghijklmno":"1"}')
    most = 1024 // row
    assert most * row == 1024
    assert upload(partner, header + b"1\n" * most, "text/csv", query="?mode=atomic").status_code == 202
    assert upload(partner, header + b"1\n" * (most + 1), "text/csv").status_code == 202
    response = upload(partner, header + b"1\n" * (most + 1), "text/csv", query="?mode=atomic")
    assert_problem(response, 413, "upload-too-large", "The rows are larger than 1024 bytes as JSON.")


@pytest.mark.parametrize(("media_type", "frame"), [(NDJSON, b"%b\n"), ("application/json", b"[%b]")])
def test_a_row_may_have_256_kib(partner: Caller, media_type: str, frame: bytes) -> None:
    row = b'{"a":"' + b"x" * (256 * 1024 - 8) + b'"}'
    assert upload(partner, frame % row, media_type).status_code == 202
    longer = row.replace(b'"}', b'x"}')
    assert_problem(upload(partner, frame % longer, media_type), 413, "upload-too-large", ROW_TOO_LARGE, line=1)


def test_an_upload_of_unknown_length_has_the_same_limit(make_app: MakeApp) -> None:
    partner = Caller(make_app(PROVISIONING_BULK_MAX_BYTES=10_000))
    source = Source(iter(lambda: ROW, b""))
    assert_problem(upload_stream(partner, source), 413, "upload-too-large", "The upload is larger than 10000 bytes.")
    assert source.taken < 100_000
    assert_nothing_is_kept(partner)


def test_the_limits_of_other_bodies_are_not_those_of_uploads(make_app: MakeApp) -> None:
    partner = Caller(make_app(MAX_CONTENT_LENGTH=1000, PROVISIONING_MAX_BODY_BYTES=1024))
    assert upload(partner, ROW * 1000).status_code == 202


def test_a_gzip_of_zeros_is_let_go_at_the_limit(partner: Caller) -> None:
    block = bytes(MEBIBYTE)

    def iter_packed() -> Iterator[bytes]:
        pack = zlib.compressobj(wbits=31)
        for _ in range(4096):
            yield pack.compress(block)
        yield pack.flush()

    source = Source(iter_packed())
    response = upload_stream(partner, source, **{"Content-Encoding": "gzip"})
    assert_problem(response, 413, "upload-too-large", ROW_TOO_LARGE, line=1)
    assert source.taken < 128 * 1024
    assert_nothing_is_kept(partner)


def test_a_line_of_100_mebibytes_is_let_go_at_the_limit(partner: Caller) -> None:
    source = Source(iter([b"x" * MEBIBYTE] * 100))
    assert_problem(upload_stream(partner, source), 413, "upload-too-large", ROW_TOO_LARGE, line=1)
    assert source.taken < 2 * MEBIBYTE
    assert_nothing_is_kept(partner)


def test_a_table_of_10_000_columns_is_refused(partner: Caller) -> None:
    header = ",".join(f"metadata.{n}" for n in range(10_000))
    response = upload(partner, f"{header}\n".encode(), "text/csv")
    assert_problem(response, 400, "malformed-upload", "The header has more than 1000 columns.", line=1)


def test_rows_that_are_wrong_each_in_another_way_fail_alone(partner: Caller) -> None:
    lines: list[bytes] = [
        b"{",
        b"[]",
        b"\xff",
        b'{"client_name": "A", "client_name": "B"}',
        b'{"client_name": NaN}',
        b'{"client_name": "\\ud800"}',
        b"[" * 100_000,
        b'{"email": "nobody", "more": 1}',
        ROW.strip(),
        ROW.strip(),
    ]
    job = upload(partner, b"\n".join(lines)).get_json()
    Bulk(partner.app, partner).work()
    items = partner("GET", f"{JOBS}/{job['job']}/items").get_json()["items"]
    assert [(item["row"], item["status"], (item["problem"] or {}).get("code")) for item in items] == [
        (1, 400, "malformed-json"),
        (2, 400, "validation-error"),
        (3, 400, "malformed-json"),
        (4, 400, "malformed-json"),
        (5, 400, "malformed-json"),
        (6, 400, "malformed-json"),
        (7, 400, "malformed-json"),
        (8, 400, "validation-error"),
        (9, 201, None),
        (10, 409, "tenant-exists"),
    ]
    assert [item["problem"]["line"] for item in items if item["problem"]] == [1, 2, 3, 4, 5, 6, 7, 8, 10]
    assert items[7]["problem"] == {
        "type": f"{PREFIX}/problems/validation-error",
        "title": "Invalid input",
        "status": 400,
        "code": "validation-error",
        "detail": "3 fields are invalid.",
        "line": 8,
        "errors": [
            {"pointer": "#/client_name", "code": "required", "detail": "This field is required."},
            {"pointer": "#/email", "code": "invalid-email", "detail": "Invalid email address."},
            {"pointer": "#/more", "code": "unknown-field", "detail": "There is no such field."},
        ],
    }


# Who sends slowly, or goes away.


class SlowBody(io.RawIOBase):
    """A body that arrives at a fixed number of bytes a second, by its own clock."""

    def __init__(self, pace: float, size: int) -> None:
        self.now, self._pace, self._left = 0.0, pace, size

    def read(self, size: int = -1) -> bytes:
        part = min(size, self._left)
        self.now, self._left = self.now + part / self._pace, self._left - part
        return b"x" * part


def drip(app: Flask, pace: float, size: int, seconds: float = 1e9) -> tuple[SlowBody, int]:
    """Read a body that comes at this pace, as an upload that may take `seconds` in all."""
    stream = SlowBody(pace, size)
    hold = LongRequest(
        Pace(seconds, MIN_BYTES_PER_SECOND, MAX_PAUSE_SECONDS, UploadTooSlow),
        RequestSlots(1, 1).acquire,
        "p",
        lambda: stream.now,
    )
    environ = {"wsgi.input": stream, "CONTENT_LENGTH": str(size), "REQUEST_METHOD": "POST"}
    with (
        app.request_context({**create_environ(), **environ}),
        UploadBody(BodyReader(hold, Watchdog()), size, hold) as body,
    ):
        return stream, sum(map(len, body))


@pytest.mark.parametrize("pace", [0.1, 1, MIN_BYTES_PER_SECOND - 1])
def test_an_upload_that_would_never_end_is_given_up(pace: float) -> None:
    with pytest.raises(UploadTooSlow, match=r"^Only \d+ bytes came in \d+ seconds\.$") as raised:
        drip(Flask("host"), pace, 1 << 30)
    waited = int(str(raised.value).split()[-2])
    assert GRACE_SECONDS <= waited <= max(GRACE_SECONDS + 10, 64 / pace + 10)


def test_an_upload_at_a_tolerable_pace_is_read_to_its_end() -> None:
    stream, size = drip(Flask("host"), MIN_BYTES_PER_SECOND, 10 * MEBIBYTE)
    assert size == 10 * MEBIBYTE
    assert stream.now > 10 * GRACE_SECONDS


def test_steady_upload_ends_at_the_time_limit() -> None:
    with pytest.raises(UploadTooSlow, match=r"in 60\d seconds\.$"):
        drip(Flask("host"), MIN_BYTES_PER_SECOND, 1 << 30, seconds=600)


def test_few_bytes_may_take_a_while() -> None:
    assert drip(Flask("host"), 1, 20)[1] == 20


@pytest.mark.parametrize("error", [OSError("reset"), ValueError("no chunk"), RuntimeError("a server's own")])
def test_a_server_s_own_error_is_an_upload_that_broke_off(error: Exception) -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise error

    with pytest.raises(MalformedUpload, match=r"^The upload broke off after 0 of 9 bytes\.$"):
        list(UploadBody(Broken(), 9, LongRequest(Pace(9, 0, 9, UploadTooSlow), RequestSlots(1, 1).acquire, "p")))


def test_short_body_is_an_interrupted_upload(partner: Caller) -> None:
    environ = {"wsgi.input": io.BytesIO(ROW), "wsgi.input_terminated": True, "CONTENT_LENGTH": "1000"}
    response = partner("POST", JOBS, content_type=NDJSON, environ_overrides=environ)
    detail = f"The upload broke off after {len(ROW)} of 1000 bytes."
    assert_problem(response, 400, "malformed-upload", detail)
    assert_nothing_is_kept(partner)


def head(partner: Caller, length: str) -> bytes:
    lines = [
        f"POST {PREFIX}{JOBS} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {partner.token}",
        f"Content-Type: {NDJSON}",
        length,
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def read_response(connection: socket.socket) -> tuple[int, Any]:
    """Read a server's response to its end."""
    response = b"".join(iter(lambda: connection.recv(65536), b""))
    start, _, content = response.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(content)


CUT_SHORT = {
    "its length announced": ("Content-Length: 1000000", ROW * 2000),
    "in chunks": ("Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(ROW) * 2000, ROW * 2000)),
    "within a chunk": ("Transfer-Encoding: chunked", b"%x\r\n%b" % (len(ROW) * 4000, ROW * 2000)),
}


@pytest.mark.parametrize(("length", "data"), CUT_SHORT.values(), ids=CUT_SHORT)
def test_upload_of_a_disconnected_client_is_not_stored(make_app: MakeApp, length: str, data: bytes) -> None:
    partner = Caller(make_app())
    with serve_with_werkzeug(partner.app) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head(partner, length) + data)
        assert wait_for(lambda: bool(fetch_rows(partner.app, "bulk_chunks")))
        connection.shutdown(socket.SHUT_WR)
        status, document = read_response(connection)
    assert (status, document["code"]) == (400, "malformed-upload")
    assert document["detail"].startswith("The upload broke off after ")
    assert_nothing_is_kept(partner)


SERVERS = {"waitress": serve, "werkzeug": serve_with_werkzeug}


@pytest.mark.parametrize("server", SERVERS.values(), ids=SERVERS)
def test_chunks_without_a_length_are_an_upload(
    make_app: MakeApp, server: Callable[[Flask], contextlib.AbstractContextManager[Address]]
) -> None:
    partner = Caller(make_app())
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [ROW[:20], ROW[20:], ROW * 100, b""])
    with server(partner.app) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head(partner, "Transfer-Encoding: chunked") + chunks)
        status, job = read_response(connection)
    assert (status, job["total"]) == (202, 101)


def test_a_hook_of_the_host_may_have_read_the_upload(make_app: MakeApp) -> None:
    app = make_app()
    app.before_request(lambda: request.get_data() and None)
    assert upload(Caller(app), ROW * 2).get_json()["total"] == 2


def test_body_consumed_by_the_host_is_an_interrupted_upload(make_app: MakeApp) -> None:
    app = make_app()
    app.before_request(lambda: request.stream.read() and None)
    partner = Caller(app)
    assert_problem(upload(partner, ROW), 400, "malformed-upload", f"The upload broke off after 0 of {len(ROW)} bytes.")
    assert_nothing_is_kept(partner)
