"""State that the host's hooks find in `request` and in the response, before and after our views."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, Response, request

from flask_tenant_provisioning.web.long_requests import MAX_EXPOSED_BODY
from tests.support import hosts
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import fetch_rows
from tests.support.hosts import PREFIX
from tests.support.servers import send_request, serve_with_werkzeug

JOBS = "/bulk-jobs"
NDJSON = "application/x-ndjson"
ROWS = [{"client_name": "Client", "email": f"admin{number}@example.com"} for number in range(3)]
LINES = b"\n".join(json.dumps(row).encode() for row in ROWS)
BODIES = {
    "application/json": (json.dumps(ROWS).encode(), json.dumps(ROWS).encode() + b" " * MAX_EXPOSED_BODY),
    NDJSON: (LINES, LINES + b"\n" * MAX_EXPOSED_BODY),
    "text/csv": (
        b"client_name,email\nA,a@example.com\n",
        b"client_name,email\nA,a@example.com\n" + b"\n" * MAX_EXPOSED_BODY,
    ),
}
TOUCHES: dict[str, Callable[[], Any]] = {
    "data": lambda: request.data,
    "get_data": lambda: request.get_data(),
    "get_data without caching": lambda: request.get_data(cache=False),
    "text": lambda: request.get_data(as_text=True),
    "form": lambda: request.form.get("token"),
    "files": lambda: request.files.get("file"),
    "values": lambda: request.values.get("token"),
    "json": lambda: request.is_json and request.json,
    "silent json": lambda: request.get_json(silent=True, force=True),
    "stream": lambda: request.stream.read(10),
}
AFTER: dict[str, Callable[[], Any]] = {**TOUCHES, "all": lambda: [touch() for touch in TOUCHES.values()]}
#: What takes nothing away from those who come later.
BEFORE = [name for name in TOUCHES if name not in ("stream", "get_data without caching")]

MakeApp = Callable[..., Flask]


def upload(partner: Caller, media_type: str, data: bytes, **environ: Any) -> Any:
    return partner("POST", JOBS, data=data, content_type=media_type, environ_overrides=environ)


class Hooks:
    """Hooks of the host's that look at the body of each request; which way they do it can change."""

    def __init__(self, app: Flask, *places: str, touch: str = "get_data") -> None:
        self.touch = touch
        self.seen: list[Any] = []
        if "before" in places:
            app.before_request(self._look)
        if "after" in places:
            app.after_request(self._after)
        if "teardown" in places:
            app.teardown_request(self._end)

    def _look(self) -> None:
        self.seen.append(AFTER[self.touch]())

    def _end(self, _error: BaseException | None) -> None:
        self._look()

    def _after(self, response: Response) -> Response:
        self._look()
        return response


@pytest.mark.one_database
@pytest.mark.parametrize("media_type", BODIES)
def test_after_request_hooks_may_touch_the_body_of_an_upload(make_app: MakeApp, media_type: str) -> None:
    app = make_app(MAX_CONTENT_LENGTH=100)  # the host's own limit is for its own bodies
    registry = Hooks(app, "after", "teardown")
    for registry.touch in AFTER:
        for data in BODIES[media_type]:
            partner = Caller(app)
            job = upload(partner, media_type, data)
            assert job.status_code == 202, (registry.touch, job.text)
            assert [row["state"] for row in fetch_rows(app, "bulk_jobs", partner_id=partner.partner)] == ["queued"]


@pytest.mark.one_database
@pytest.mark.parametrize("media_type", BODIES)
def test_before_request_hooks_may_have_touched_the_body_of_an_upload(make_app: MakeApp, media_type: str) -> None:
    app = make_app()
    registry = Hooks(app, "before", "after")
    for registry.touch in BEFORE:
        for data in BODIES[media_type]:
            job = upload(Caller(app), media_type, data)
            assert (job.status_code, job.get_json().get("total")) == (202, data.count(b"@")), (registry.touch, job.text)


@pytest.mark.one_database
@pytest.mark.blueprint("hooks of the host's run there alone")
def test_hooks_read_small_uploads_and_no_large_ones(make_app: MakeApp) -> None:
    app = make_app()
    seen, parsed = Hooks(app, "after").seen, Hooks(app, "after", touch="json").seen
    for media_type, bodies in BODIES.items():
        for data in bodies:
            upload(Caller(app), media_type, data)
    small = [bodies[0] for bodies in BODIES.values()]
    assert seen == [small[0], b"[]", small[1], b"", small[2], b""]
    assert parsed == [ROWS, [], False, False, False, False]


REFUSED = {
    "malformed": (400, "malformed-upload", "application/json", b"[1, 2", {}),
    "broken off": (400, "malformed-upload", NDJSON, LINES, {"CONTENT_LENGTH": "1000"}),
    "too many rows": (413, "upload-too-large", NDJSON, LINES * 4, {}),
    "wrong type": (415, "unsupported-media-type", "text/plain", LINES, {}),
    "quota": (403, "quota-exceeded", "application/json", BODIES["application/json"][0], {}),
}


@pytest.mark.one_database
@pytest.mark.parametrize(("status", "code", "kind", "data", "environ"), REFUSED.values(), ids=REFUSED)
def test_a_refused_upload_keeps_its_answer_whatever_hooks_touch(
    make_app: MakeApp, status: int, code: str, kind: str, data: bytes, environ: dict[str, str]
) -> None:
    app = make_app(PROVISIONING_BULK_MAX_ROWS=5, PROVISIONING_BULK_OPEN_JOBS=1)
    Hooks(app, "after", "teardown", touch="all")
    partner = Caller(app)
    if code == "quota-exceeded":
        assert upload(partner, NDJSON, LINES).status_code == 202
    response = upload(partner, kind, data, **environ)
    assert (response.status_code, response.get_json()["code"]) == (status, code)


@pytest.mark.one_database
@pytest.mark.parametrize("size", [10, 2000], ids=["small", "too large"])
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
def test_hooks_may_touch_the_body_of_a_single_call(make_app: MakeApp, size: int, chunked: bool) -> None:
    body = json.dumps({"client_name": "Client", "email": "a@example.com", "industry": "x" * size}).encode()
    app = make_app(PROVISIONING_MAX_BODY_BYTES=1024)
    registry = Hooks(app, "after", "teardown")
    for registry.touch in AFTER:
        environ: dict[str, Any] = {"wsgi.input": io.BytesIO(body)}
        if chunked:
            environ |= {"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
        else:
            environ |= {"CONTENT_LENGTH": str(len(body))}
        response = Caller(app)("POST", "/tenants", content_type="application/json", environ_overrides=environ)
        assert response.status_code == (201 if size == 10 else 413), (registry.touch, response.text)


@pytest.mark.one_database
@pytest.mark.blueprint("hooks of the host's run there alone")
def test_host_limit_applies_if_its_hook_reads_the_body(make_app: MakeApp) -> None:
    app = make_app(MAX_CONTENT_LENGTH=100)
    Hooks(app, "before", touch="form")
    environ = {"wsgi.input": io.BytesIO(LINES), "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    response = Caller(app)("POST", JOBS, content_type=NDJSON, environ_overrides=environ)
    assert (response.status_code, response.get_json()["code"]) == (413, "body-too-large")


def test_a_host_that_reads_every_body_hangs_on_no_upload(make_app: MakeApp) -> None:
    app = make_app()
    Hooks(app, "after", "teardown", touch="all")
    partner = Caller(app)
    with serve_with_werkzeug(app) as address:
        for _ in range(2):
            response = send_request(address, "POST", PREFIX + JOBS, partner.token, ROWS)
            assert (response.status, response.json()["total"]) == (202, 3)


# What hooks do to responses.


def finish_job(partner: Caller) -> str:
    job: str = partner("POST", JOBS, json=ROWS).get_json()["job"]
    Bulk(partner.app, partner).work()
    return job


def read(response: Response) -> Response:
    response.get_data()
    return response


def rebuild(response: Response) -> Response:
    return Response(response.get_data(), response.status, response.headers)


@pytest.mark.one_database
@pytest.mark.parametrize("hook", [read, rebuild])
def test_hooks_can_read_streamed_responses(make_app: MakeApp, hook: Callable[[Response], Response]) -> None:
    app = make_app(PROVISIONING_LONG_REQUESTS=1)
    app.after_request(hook)
    partner = Caller(app)
    job = finish_job(partner)
    open_job = partner("POST", JOBS, json=ROWS).get_json()["job"]
    for _ in range(3):  # no seat is left taken
        csv = partner("GET", f"{JOBS}/{job}/items", headers={"Accept": "text/csv"})
        assert (csv.status_code, len(csv.text.splitlines())) == (200, 4)
        lines = partner("GET", f"{JOBS}/{job}/items", headers={"Accept": NDJSON})
        assert [json.loads(line)["row"] for line in lines.text.splitlines()] == [1, 2, 3]
        if not hosts.is_isolated():  # there the host's hooks do not run, and the stream goes on
            environ = {"wsgi.multithread": True}
            followed = partner("GET", f"{JOBS}/{open_job}/progress", environ_overrides=environ)
            assert followed.text.count("event: progress") == 1


@pytest.mark.one_database
def test_a_head_request_leaves_no_seat_taken(make_app: MakeApp) -> None:
    app = make_app(PROVISIONING_LONG_REQUESTS=1)
    partner = Caller(app)
    job = finish_job(partner)
    for _ in range(3):
        response = partner("HEAD", f"{JOBS}/{job}/items", headers={"Accept": "text/csv"})
        assert (response.status_code, response.data) == (200, b"")
