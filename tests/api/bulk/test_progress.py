"""The progress of a job as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.bulk.progress import (
    KEEPALIVE_INTERVAL,
    MAX_DURATION,
    POLL_INTERVAL,
    RETRY_MILLISECONDS,
    StreamClock,
    stream_events,
)
from flask_tenant_provisioning.web.long_requests import LongRequestLimits
from tests.support.assertions import assert_problem
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.clock import Clock
from tests.support.hosts import get_mount, make_host

JOBS = "/bulk-jobs"
ROW = {"client_name": "Client", "email": "admin@example.com"}
RETRY = f"retry: {RETRY_MILLISECONDS}\n\n"


class Hand:
    """Time that passes only in waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> StreamClock:
        return StreamClock(lambda: self.now, self.wait)


def job(processed: int, state: str = "running") -> dict[str, Any]:
    return {"state": state, "processed": processed, "finished_at": "now" if state != "running" else None}


def events(data: bytes | Iterator[bytes]) -> list[tuple[str, dict[str, Any]]]:
    """Return the kind and the job of each event."""
    text = (data if isinstance(data, bytes) else b"".join(data)).decode()
    events = [dict(line.split(": ", 1) for line in part.splitlines()) for part in text.split("\n\n")]
    return [(fields["event"], json.loads(fields["data"])) for fields in events if "event" in fields]


def test_each_change_sends_an_event() -> None:
    hand = Hand()
    shown = [job(0), job(0), job(5), job(5), job(5), job(9, "succeeded")]
    parts = list(stream_events(lambda: shown.pop(0), hand.time(), lambda: True))
    assert parts == [
        RETRY.encode(),
        b'id: running-0\nevent: progress\ndata: {"state":"running","processed":0,"finished_at":null}\n\n',
        b'id: running-5\nevent: progress\ndata: {"state":"running","processed":5,"finished_at":null}\n\n',
        b'id: succeeded-9\nevent: finished\ndata: {"state":"succeeded","processed":9,"finished_at":"now"}\n\n',
    ]
    assert (shown, hand.now) == ([], 5 * POLL_INTERVAL)


def test_a_stream_is_heard_of_while_nothing_happens_and_ends_in_time() -> None:
    hand = Hand()
    parts = list(stream_events(lambda: job(0), hand.time(), lambda: True))
    assert len(events(b"".join(parts))) == 1
    assert parts.count(b": still here\n\n") == MAX_DURATION // KEEPALIVE_INTERVAL
    assert hand.now == MAX_DURATION


def test_stream_ends_at_the_next_poll_without_its_slot() -> None:
    hand, may = Hand(), [True, True, True, False]
    parts = list(stream_events(lambda: job(0), hand.time(), lambda: may.pop(0)))
    assert (len(events(b"".join(parts))), hand.now) == (1, 2 * POLL_INTERVAL)


def test_stream_without_a_free_thread_returns_the_current_state() -> None:
    hand = Hand()
    assert events(stream_events(lambda: job(3), hand.time(), lambda: False)) == [("progress", job(3))]
    assert hand.now == 0


def test_finished_job_sends_one_event(partner: Caller) -> None:
    document = partner("POST", JOBS, json=[ROW]).get_json()
    path = f"{JOBS}/{document['job']}/progress"
    Bulk(partner.app, partner).work()
    response = partner("GET", path, headers={"Accept": "text/event-stream"})
    assert (response.status_code, response.content_type) == (200, "text/event-stream")
    assert (response.headers["Cache-Control"], response.headers["X-Accel-Buffering"]) == ("no-store", "no")
    now = partner("GET", f"{JOBS}/{document['job']}").get_json()
    assert events(response.data) == [("finished", now)]
    assert response.text.startswith(f"{RETRY}id: succeeded-1\nevent: finished\n")
    again = partner("GET", path, headers={"Last-Event-ID": "succeeded-1"})
    assert (again.status_code, again.data) == (204, b"")
    assert partner("GET", path, headers={"Last-Event-ID": "running-0"}).status_code == 200


def test_progress_stream_ends_with_finished(partner: Caller) -> None:
    document = partner("POST", JOBS, json=[ROW]).get_json()
    response = partner("GET", f"{JOBS}/{document['job']}/progress", environ_overrides={"wsgi.multithread": True})
    parts = iter(response.response)
    assert next(parts) == RETRY.encode()
    assert events(next(parts)) == [("progress", document)]  # type: ignore[arg-type]
    Bulk(partner.app, partner).work()
    assert [kind for kind, _ in events(parts)] == ["finished"]  # type: ignore[arg-type]
    assert get_mount(partner.app).once(LongRequestLimits).slots.used == 0


STREAM = {"wsgi.multithread": True}


def test_streams_of_a_partner_beyond_its_seats_show_the_job_once(make_app: Callable[..., Flask]) -> None:
    app = make_app(PROVISIONING_LONG_REQUESTS=3, PROVISIONING_LONG_REQUESTS_PER_PARTNER=2)
    acme, other = Caller(app), Caller(app)

    def follow(partner: Caller) -> Any:
        document = partner("POST", JOBS, json=[ROW]).get_json()
        return partner("GET", f"{JOBS}/{document['job']}/progress", environ_overrides=STREAM)

    lasting = [follow(acme), follow(acme)]
    assert [kind for kind, _ in events(follow(acme).data)] == ["progress"]
    lasting.append(follow(other))
    assert [kind for kind, _ in events(follow(other).data)] == ["progress"]
    assert get_mount(app).once(LongRequestLimits).slots.used == 3
    for response in lasting:
        response.close()
    assert get_mount(app).once(LongRequestLimits).slots.used == 0


def suspend(app: Flask, partner: Caller, _clock: Clock) -> None:
    operator = Caller(app, "host", ["provisioning-admin"])
    assert operator("PATCH", f"/partners/{partner.partner}", json={"status": "suspended"}).status_code == 200


def expire(_app: Flask, _partner: Caller, clock: Clock) -> None:
    clock.now += 3600


@pytest.mark.one_database
@pytest.mark.parametrize("end", [suspend, expire])
def test_a_stream_ends_with_its_token_and_its_partner_s_standing(
    database_url: str, end: Callable[[Flask, Caller, Clock], None]
) -> None:
    clock = Clock()
    app = make_host(database_url, {"clock": clock})
    partner = Caller(app)
    document = partner("POST", JOBS, json=[ROW]).get_json()
    response = partner("GET", f"{JOBS}/{document['job']}/progress", environ_overrides=STREAM)
    parts = iter(response.response)
    assert next(parts) == RETRY.encode()
    assert [kind for kind, _ in events(next(parts))] == ["progress"]  # type: ignore[arg-type]
    end(app, partner, clock)
    assert list(parts) == []
    assert get_mount(app).once(LongRequestLimits).slots.used == 0


@pytest.mark.one_database
@pytest.mark.parametrize("kind", ["text/csv", "application/x-ndjson"])
def test_a_download_without_a_free_seat_says_when_to_ask_again(make_app: Callable[..., Flask], kind: str) -> None:
    app = make_app(PROVISIONING_LONG_REQUESTS=2, PROVISIONING_LONG_REQUESTS_PER_PARTNER=1)
    slow, two, three = (Caller(app) for _ in range(3))

    def download(partner: Caller) -> Any:
        document = partner("POST", JOBS, json=[ROW]).get_json()
        Bulk(app, partner).work()
        return partner("GET", f"{JOBS}/{document['job']}/items", headers={"Accept": kind})

    first = download(slow)
    response = download(slow)
    detail = "This partner has 1 long request under way: a slow body, an upload, a stream or a download."
    assert_problem(response, 429, "too-many-long-requests", detail)
    assert response.headers["Retry-After"] == "5"
    second = download(two)
    response = download(three)
    assert_problem(response, 503, "server-busy", "The server has as many long requests under way as it can hold.")
    assert response.headers["Retry-After"] == "5"
    first.close()
    second.close()
    assert download(three).status_code == 200


def test_a_server_of_one_thread_is_not_held_up(partner: Caller) -> None:
    document = partner("POST", JOBS, json=[ROW]).get_json()
    response = partner("GET", f"{JOBS}/{document['job']}/progress", environ_overrides={"wsgi.multithread": False})
    assert events(response.data) == [("progress", document)]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_only_an_event_stream_is_available(partner: Caller, accept: str) -> None:
    document = partner("POST", JOBS, json=[ROW]).get_json()
    response = partner("GET", f"{JOBS}/{document['job']}/progress", headers={"Accept": accept})
    detail = "This is answered as text/event-stream."
    assert_problem(response, 406, "not-acceptable", detail, offered=["text/event-stream"])
