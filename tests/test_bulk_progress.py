"""The progress of a job as server-sent events."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flask_tenant_provisioning.bulk.following import AGAIN, LASTS, MOST, PAUSE, SILENCE, Time, seats, stream
from tests.bulk import Bulk
from tests.refusals import refused
from tests.world import Caller, mount_of

JOBS = "/bulk-jobs"
ROW = {"client_name": "Client", "email": "admin@example.com"}
RETRY = f"retry: {AGAIN}\n\n"


class Hand:
    """Time that passes when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def time(self) -> Time:
        return Time(lambda: self.now, self.wait)


def job(processed: int, state: str = "running") -> dict[str, Any]:
    return {"state": state, "processed": processed, "finished_at": "now" if state != "running" else None}


def events(data: bytes | Iterator[bytes]) -> list[tuple[str, dict[str, Any]]]:
    """What kind of event told which job."""
    text = (data if isinstance(data, bytes) else b"".join(data)).decode()
    found = [dict(line.split(": ", 1) for line in part.splitlines()) for part in text.split("\n\n")]
    return [(one["event"], json.loads(one["data"])) for one in found if "event" in one]


def test_there_is_an_event_whenever_something_has_changed() -> None:
    hand = Hand()
    shown = [job(0), job(0), job(5), job(5), job(5), job(9, "succeeded")]
    found = list(stream(lambda: shown.pop(0), hand.time(), threading.Semaphore()))
    assert found == [
        RETRY.encode(),
        b'id: running-0\nevent: progress\ndata: {"state":"running","processed":0,"finished_at":null}\n\n',
        b'id: running-5\nevent: progress\ndata: {"state":"running","processed":5,"finished_at":null}\n\n',
        b'id: succeeded-9\nevent: finished\ndata: {"state":"succeeded","processed":9,"finished_at":"now"}\n\n',
    ]
    assert (shown, hand.now) == ([], 5 * PAUSE)


def test_a_stream_is_heard_of_while_nothing_happens_and_ends_in_time() -> None:
    hand = Hand()
    found = list(stream(lambda: job(0), hand.time(), threading.Semaphore()))
    assert len(events(b"".join(found))) == 1
    assert found.count(b": still here\n\n") == LASTS // SILENCE
    assert hand.now == LASTS


def test_as_many_streams_last_as_there_are_seats() -> None:
    hand, free = Hand(), threading.Semaphore(1)
    lasting = stream(lambda: job(0), hand.time(), free)
    next(lasting), next(lasting)
    assert events(stream(lambda: job(0), hand.time(), free)) == [("progress", job(0))]
    lasting.close()  # type: ignore[attr-defined]
    next(lasting := stream(lambda: job(0), hand.time(), free)), next(lasting)
    assert not free.acquire(blocking=False)


def test_without_threads_to_spare_a_stream_tells_how_things_are() -> None:
    assert events(stream(lambda: job(3), Hand().time(), None)) == [("progress", job(3))]


def test_a_finished_job_is_told_of_once(partner: Caller) -> None:
    made = partner("POST", JOBS, json=[ROW]).get_json()
    path = f"{JOBS}/{made['job']}/progress"
    Bulk(partner.app, partner).work()
    answer = partner("GET", path, headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.content_type) == (200, "text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    now = partner("GET", f"{JOBS}/{made['job']}").get_json()
    assert events(answer.data) == [("finished", now)]
    assert answer.text.startswith(f"{RETRY}id: succeeded-1\nevent: finished\n")
    again = partner("GET", path, headers={"Last-Event-ID": "succeeded-1"})
    assert (again.status_code, again.data) == (204, b"")
    assert partner("GET", path, headers={"Last-Event-ID": "running-0"}).status_code == 200


def test_a_job_is_followed_while_it_is_done(partner: Caller) -> None:
    made = partner("POST", JOBS, json=[ROW]).get_json()
    answer = partner("GET", f"{JOBS}/{made['job']}/progress", environ_overrides={"wsgi.multithread": True})
    parts = iter(answer.response)
    assert next(parts) == RETRY.encode()
    assert events(next(parts)) == [("progress", made)]  # type: ignore[arg-type]
    Bulk(partner.app, partner).work()
    assert [kind for kind, _ in events(parts)] == ["finished"]  # type: ignore[arg-type]
    free = mount_of(partner.app).once(seats)
    assert [free.acquire(blocking=False) for _ in range(MOST)] == [True] * MOST
    free.release(MOST)


def test_a_server_of_one_thread_is_not_held_up(partner: Caller) -> None:
    made = partner("POST", JOBS, json=[ROW]).get_json()
    answer = partner("GET", f"{JOBS}/{made['job']}/progress", environ_overrides={"wsgi.multithread": False})
    assert events(answer.data) == [("progress", made)]


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_there_is_a_stream_of_events_alone(partner: Caller, accept: str) -> None:
    made = partner("POST", JOBS, json=[ROW]).get_json()
    answer = partner("GET", f"{JOBS}/{made['job']}/progress", headers={"Accept": accept})
    detail = "This is answered as text/event-stream."
    refused(answer, 406, "not-acceptable", detail, offered=["text/event-stream"])
