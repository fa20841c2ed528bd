"""Downloads end with their token and with their partner's standing, and are seen to be incomplete then."""

from __future__ import annotations

import http.client
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.serving import make_server

from flask_tenant_provisioning import usage as usage
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.config import PARTNER_ADMIN, PROVISIONING_ADMIN
from flask_tenant_provisioning.web.long_requests import LongRequestLimits
from tests.support.assertions import assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.hosts import PREFIX, get_mount, make_host

CSV, NDJSON = "text/csv", "application/x-ndjson"
ROWS = 6
ROLES = {"partner-admin": PARTNER_ADMIN, "provisioning-admin": PROVISIONING_ADMIN, "reader": ["partner:read"]}
End = Callable[[Flask, Caller, Clock], None]

pytestmark = pytest.mark.one_database


def expire(_app: Flask, _partner: Caller, clock: Clock) -> None:
    clock.now += 3600


def suspend(app: Flask, partner: Caller, _clock: Clock) -> None:
    operator = Caller(app, "host", ["provisioning-admin"])
    assert operator("PATCH", f"/partners/{partner.partner}", json={"status": "suspended"}).status_code == 200


ENDS = pytest.mark.parametrize(("end", "reason"), [(expire, "token-expired"), (suspend, "partner-suspended")])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(database_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A host whose jobs are read a row at a time, and whose report a partner at a time."""
    monkeypatch.setattr(actions, "CHUNK_ROWS", 1)
    monkeypatch.setattr(usage, "MAX_PAGE_SIZE", 1)
    return make_host(database_url, {"clock": clock}, PROVISIONING_ROLES=ROLES)


def finish_job(partner: Caller) -> str:
    """Run a job whose rows all fail; return the path of its items."""
    rows = [{"client_name": "", "email": f"u{n}@example.com"} for n in range(ROWS)]
    response = partner("POST", "/bulk-jobs", json=rows)
    assert response.status_code == 202, response.text
    Bulk(partner.app, partner).work()
    return f"/bulk-jobs/{response.get_json()['job']}/items"


@ENDS
@pytest.mark.parametrize("kind", [CSV, NDJSON])
def test_a_download_is_cut_off_at_the_next_page(
    app: Flask, clock: Clock, caplog: pytest.LogCaptureFixture, kind: str, end: End, reason: str
) -> None:
    caplog.set_level(logging.INFO)
    partner = Caller(app)
    response = partner("GET", finish_job(partner), headers={"Accept": kind})
    parts = iter(response.response)
    assert response.status_code == 200
    for _ in range(2):
        next(parts)
    end(app, partner, clock)
    with pytest.raises(BrokenPipeError):
        next(parts)
    assert list(parts) == []
    assert get_mount(app).once(LongRequestLimits).slots.used == 0
    (line,) = [record for record in caplog.records if record.msg.startswith("a download")]
    fields = {name: vars(line)[name] for name in ("partner", "reason", "request_id")}
    request_id = response.headers["X-Request-ID"]
    assert fields == {"partner": partner.partner, "reason": reason, "request_id": request_id}


@pytest.mark.parametrize("kind", [CSV, NDJSON])
def test_download_with_a_valid_token_is_complete(app: Flask, clock: Clock, kind: str) -> None:
    partner = Caller(app)
    response = partner("GET", finish_job(partner), headers={"Accept": kind})
    parts = [next(iter(response.response))]
    clock.now += 60
    text = b"".join([*parts, *response.response]).decode()  # type: ignore[list-item]
    assert len(text.splitlines()) == ROWS + (kind == CSV)


def test_an_administrator_s_download_goes_on_while_the_partner_is_suspended(app: Flask, clock: Clock) -> None:
    partner = Caller(app)
    path = finish_job(partner)
    response = Caller(app, roles=["provisioning-admin"])("GET", path, headers={"Accept": NDJSON})
    parts = iter(response.response)
    next(parts)
    suspend(app, partner, clock)
    assert len(list(parts)) == ROWS - 1


@pytest.mark.parametrize("end", [expire, suspend])
def test_a_report_is_cut_off_as_well(app: Flask, clock: Clock, end: End) -> None:
    partner = Caller(app, "above", ["reader"])
    operator = Caller(app, "host", ["provisioning-admin"])
    for name in ("above", "below-1", "below-2", "below-3"):
        parent = None if name == "above" else "above"
        response = operator("PUT", f"/partners/{name}", json={"parent": parent})
        assert response.status_code == 201, response.text
    whole = partner("GET", "/usage", headers={"Accept": CSV}).text.splitlines()
    assert [line.split(",")[0] for line in whole] == ["partner", "above", "below-1", "below-2", "below-3"]
    response = partner("GET", "/usage", headers={"Accept": CSV})
    parts = iter(response.iter_encoded())
    assert [next(parts).split(b",")[0] for _ in range(2)] == [b"partner", b"above"]
    end(app, partner, clock)
    with pytest.raises(BrokenPipeError):
        next(parts)


def test_a_token_that_ends_before_the_columns_are_known_is_refused_as_ever(
    app: Flask, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = Caller(app)
    path, storage = finish_job(partner), get_mount(app).storage
    read, count = storage.read, [0]

    def slowly(work: Callable[..., Any]) -> Any:
        count[0] += 1
        clock.now += 3600 if count[0] == 4 else 0
        return read(work)

    monkeypatch.setattr(storage, "read", slowly)
    response = partner("GET", path, headers={"Accept": CSV})
    assert_problem(response, 401, "token-expired", "Token expired.")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert get_mount(app).once(LongRequestLimits).slots.used == 0


def test_incomplete_download_is_visible_to_the_client(app: Flask, clock: Clock) -> None:
    partner = Caller(app)
    path, storage = finish_job(partner), get_mount(app).storage
    read, count = storage.read, [0]

    def slowly(work: Callable[..., Any]) -> Any:
        count[0] += 1
        clock.now += 3600 if count[0] == 4 else 0
        return read(work)

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        storage.read = slowly  # type: ignore[method-assign]
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
        headers = {"Authorization": f"Bearer {partner.token}", "Accept": NDJSON}
        connection.request("GET", f"{PREFIX}{path}", headers=headers)
        response = connection.getresponse()
        assert (response.status, response.headers["Transfer-Encoding"]) == (200, "chunked")
        with pytest.raises(http.client.IncompleteRead) as cut:
            response.read()
        assert 0 < len(cut.value.partial.splitlines()) < ROWS
        assert all(json.loads(line)["state"] == "failed" for line in cut.value.partial.splitlines())
        connection.close()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
