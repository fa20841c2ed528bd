"""Slow clients hold few threads, and none for long."""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.errors import BodyTooSlow, ServerBusy, TooManyLongRequests
from flask_tenant_provisioning.web.long_requests import (
    GRACE_SECONDS,
    MAX_PAUSE_SECONDS,
    MIN_BYTES_PER_SECOND,
    SHORT_REQUEST_SECONDS,
    WATCHDOG_INTERVAL_SECONDS,
    LongRequest,
    LongRequestLimits,
    Pace,
    RequestSlots,
    Watchdog,
)
from flask_tenant_provisioning.web.streaming import LongResponseBody
from tests.support.callers import Caller
from tests.support.hosts import PREFIX, get_mount
from tests.support.servers import Address, send_request, serve, serve_with_werkzeug
from tests.support.storms.server import Server, signed_token
from tests.support.waiting import wait_for

MakeApp = Callable[..., Flask]


class Hand:
    """Seconds, moved by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def hold(hand: Hand, free: RequestSlots, seconds: float = 10, pace: int = 0, partner: str = "p") -> LongRequest:
    return LongRequest(Pace(seconds, pace, MAX_PAUSE_SECONDS, BodyTooSlow), free.acquire, partner, hand)


# Seats.


def test_a_partner_has_its_seats_and_the_process_all_of_them() -> None:
    free = RequestSlots(3, 2)
    taken = [free.acquire("one"), free.acquire("one")]
    with pytest.raises(TooManyLongRequests):
        free.acquire("one")
    taken.append(free.acquire("two"))
    with pytest.raises(ServerBusy):
        free.acquire("three")
    for _ in range(2):
        taken[0].release()
    assert free.used == 2
    taken.append(free.acquire("three"))
    taken.clear()
    gc.collect()
    assert free.used == 0


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("config", "total", "each"),
    [
        ({}, 3, 2),
        ({"SERVER_THREADS": 4}, 1, 1),
        ({"SERVER_THREADS": 8}, 3, 2),
        ({"SERVER_THREADS": 1}, 1, 1),
        ({"SERVER_THREADS": 100}, 49, 25),
        ({"SERVER_THREADS": 100, "LONG_REQUESTS": 7}, 7, 4),
        ({"LONG_REQUESTS": 7, "LONG_REQUESTS_PER_PARTNER": 1}, 7, 1),
    ],
)
def test_seats_are_fewer_than_half_of_the_threads(
    make_app: MakeApp, config: dict[str, int], total: int, each: int
) -> None:
    free = (
        get_mount(make_app(**{f"PROVISIONING_{name}": value for name, value in config.items()}))
        .once(LongRequestLimits)
        .slots
    )
    assert (free.total, free.per_partner) == (total, each)


@pytest.mark.one_database
def test_waitress_thread_count_sets_the_long_request_slots(make_app: MakeApp) -> None:
    partner = Caller(make_app())
    with serve(partner.app, threads=10) as address:
        body = {"client_name": "A", "email": "a@example.com"}
        assert send_request(address, "POST", f"{PREFIX}/tenants", partner.token, body).status == 201
        assert get_mount(partner.app).once(LongRequestLimits).slots.total == 4


# Holds.


def test_body_has_a_time_limit() -> None:
    hand, free = Hand(), RequestSlots(1, 1)
    held = hold(hand, free)
    held.start_waiting()
    hand.now = 10
    assert held.find_refusal() is None
    hand.now = 10.1
    with pytest.raises(BodyTooSlow, match="Only 0 bytes came in 10 seconds"):
        held.resume(0)


def test_a_fast_body_takes_no_seat_and_a_slow_one_does() -> None:
    hand, free = Hand(), RequestSlots(1, 1)
    held = hold(hand, free)
    held.start_waiting()
    hand.now = SHORT_REQUEST_SECONDS
    held.resume(5)
    assert free.used == 0
    held.start_waiting()
    hand.now = SHORT_REQUEST_SECONDS + 0.1
    held.resume(5)
    assert free.used == 1
    other = hold(hand, free)
    other.start_waiting()
    hand.now += SHORT_REQUEST_SECONDS + 0.1
    with pytest.raises(TooManyLongRequests):
        other.resume(5)
    held.release()
    assert free.used == 0


def test_time_without_waiting_does_not_count_against_the_client() -> None:
    hand = Hand()
    held = hold(hand, RequestSlots(1, 1), seconds=1000, pace=MIN_BYTES_PER_SECOND)
    for _ in range(10):
        held.start_waiting()
        hand.now += 1
        held.resume(MIN_BYTES_PER_SECOND)
        hand.now += 100  # the database is slow
    assert held.find_refusal() is None
    held.start_waiting()
    hand.now += MAX_PAUSE_SECONDS + 0.1
    assert isinstance(held.find_refusal(), BodyTooSlow)


def test_an_upload_slower_than_its_pace_ends_after_the_grace() -> None:
    hand = Hand()
    held = hold(hand, RequestSlots(1, 1), seconds=1e6, pace=MIN_BYTES_PER_SECOND)
    while held.find_refusal() is None:
        held.start_waiting()
        hand.now += 1
        with contextlib.suppress(BodyTooSlow):
            held.resume(MIN_BYTES_PER_SECOND - 1)
    assert GRACE_SECONDS < hand.now <= GRACE_SECONDS + 1


# The watchdog.


def never(_seconds: float) -> None:
    threading.Event().wait(1000)


def test_the_watchdog_shuts_down_the_connection_of_a_client_that_is_too_slow() -> None:
    hand = Hand()
    held, watchdog = hold(hand, RequestSlots(1, 1)), Watchdog(lambda _: time.sleep(0.01))
    ours, client = socket.socketpair()
    held.start_waiting()
    watchdog.add(held, ours)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(ours.recv(10)))
    reader.start()
    hand.now = 11
    reader.join(30)
    assert received == [b""]
    ours.sendall(b"an answer")
    assert client.recv(100) == b"an answer"
    ours.close()
    client.close()


def test_finished_request_is_not_shut_down() -> None:
    hand = Hand()
    held, watchdog = hold(hand, RequestSlots(1, 1)), Watchdog(never)
    ours, client = socket.socketpair()
    held.start_waiting()
    watchdog.add(held, ours)
    watchdog.remove(held)
    hand.now = 11
    watchdog.check()
    client.sendall(b"x")
    assert ours.recv(1) == b"x"
    ours.close()
    client.close()


# Answers.


def test_an_answer_that_is_read_too_slowly_is_cut_off() -> None:
    hand, free = Hand(), RequestSlots(1, 1)
    held, watchdog = hold(hand, free, seconds=1e6, pace=MIN_BYTES_PER_SECOND), Watchdog(never)
    held.acquire_slot()
    ours, client = socket.socketpair()
    response = LongResponseBody((b"x" * 100 for _ in range(10)), held, watchdog, ours)
    next(response), next(response)
    hand.now += MAX_PAUSE_SECONDS + 1
    watchdog.check()
    with pytest.raises(BrokenPipeError):
        ours.sendall(b"x")
    with pytest.raises(BrokenPipeError):
        next(response)
    assert free.used == 0
    ours.close()
    client.close()


def test_an_answer_that_is_dropped_gives_its_seat_back() -> None:
    free = RequestSlots(1, 1)
    held = hold(Hand(), free)
    held.acquire_slot()
    response = LongResponseBody((b"x" for _ in range(10)), held, Watchdog(), None)
    next(response)
    del response
    assert free.used == 0


# Servers.


def send(address: Address, token: str, route: str, *lines: str, body: bytes = b"") -> socket.socket:
    """Send this much of a request, and leave it."""
    connection = socket.create_connection(address, timeout=60)
    method, path = route.split()
    head = [f"{method} {PREFIX}{path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", *lines]
    connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
    return connection


def read_response(connection: socket.socket) -> tuple[int, Any]:
    """Read a server's response."""
    response = b""
    while b"}" not in response and (part := connection.recv(65536)):
        response += part
    start, _, content = response.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(content)


@pytest.mark.one_database
@pytest.mark.parametrize("path", ["/tenants", "/bulk-jobs"])
def test_a_silent_client_is_answered_once_its_time_is_over(make_app: MakeApp, path: str) -> None:
    partner = Caller(make_app(PROVISIONING_LONG_REQUESTS=1, PROVISIONING_BODY_SECONDS=1))
    head = "Content-Type: application/json", "Content-Length: 1000"
    with serve_with_werkzeug(partner.app) as address:
        if path == "/bulk-jobs":
            seat = get_mount(partner.app).once(LongRequestLimits).slots.acquire(partner.partner)
        connection = send(address, partner.token, f"POST {path}", *head, body=b"{")
        status, problem = read_response(connection)
        connection.close()
    expected = (429, "too-many-long-requests") if path == "/bulk-jobs" else (408, "body-too-slow")
    assert (status, problem["code"]) == expected
    if path == "/bulk-jobs":
        seat.release()
    assert get_mount(partner.app).once(LongRequestLimits).slots.used == 0


@pytest.fixture
def gunicorn(tmp_path: Path, free_address: Address) -> Iterator[Address]:
    """Gunicorn with one worker of eight threads; nothing of it is told to the API."""
    pytest.importorskip("gunicorn")
    server = Server(free_address, f"sqlite:///{tmp_path}/db.sqlite3", tmp_path / "log", gunicorn=True)
    server.start()
    yield free_address
    server.stop()


@pytest.fixture
def free_address() -> Address:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[0], probe.getsockname()[1]


JSON, LINES = "Content-Type: application/json", "Content-Type: application/x-ndjson"
HELD = {
    "silent bodies": ("POST /tenants", (JSON, "Content-Length: 1000"), b"{"),
    "silent uploads": ("POST /bulk-jobs", (LINES, "Content-Length: 1000000000"), b"\n" * 60_000),
    "silent chunked uploads": ("POST /bulk-jobs", (LINES, "Transfer-Encoding: chunked"), b"5\r\n\n"),
    "streams": ("GET /bulk-jobs/{job}/progress", ("Accept: text/event-stream",), b""),
    "downloads": ("GET /bulk-jobs/{job}/items", ("Accept: application/x-ndjson",), b""),
}


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.one_database
def test_eight_held_requests_of_one_partner_stop_no_other(gunicorn: Address) -> None:
    token, other = signed_token("acme"), signed_token("globex")
    rows = [{"client_name": "n" * 200, "email": f"n{number}@example.com"} for number in range(1000)]
    job = send_request(gunicorn, "POST", f"{PREFIX}/bulk-jobs", token, rows).json()["job"]
    for name, (route, head, body) in HELD.items():
        held = [send(gunicorn, token, route.format(job=job), *head, body=body) for _ in range(8)]
        start = time.monotonic()
        reply = send_request(gunicorn, "GET", f"{PREFIX}/tenants?limit=1", other)
        took = time.monotonic() - start
        for connection in held:
            connection.close()
        assert (reply.status, took < SHORT_REQUEST_SECONDS + 2 * WATCHDOG_INTERVAL_SECONDS + 2) == (200, True), (
            name,
            took,
        )
        assert wait_for(lambda: send_request(gunicorn, "GET", f"{PREFIX}/health/ready", other).status == 200)


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.one_database
def test_slow_drips_end_with_the_deadline_and_leave_the_server_free(gunicorn: Address) -> None:
    token, other = signed_token("acme"), signed_token("globex")
    held = [send(gunicorn, token, "POST /tenants", JSON, "Content-Length: 1000", body=b"{") for _ in range(8)]
    stopped = threading.Event()

    def drip() -> None:
        while not stopped.wait(0.3):
            for connection in held:
                with contextlib.suppress(OSError):
                    connection.send(b" ")

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        responses = [read_response(connection) for connection in held]
    finally:
        stopped.set()
        dripping.join()
    codes = sorted((status, problem["code"]) for status, problem in responses)
    assert codes == [(408, "body-too-slow")] * 2 + [(429, "too-many-long-requests")] * 6
    assert send_request(gunicorn, "GET", f"{PREFIX}/tenants", other).status == 200
