"""Workers killed while they deliver to receivers that fail: nothing is lost, nothing invented, all in order."""

from __future__ import annotations

import http.server
import json
import os
import random
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.callers import Caller, tenant_path
from tests.support.database.rows import fetch_rows
from tests.support.events import read_feed
from tests.support.storms import telling_host
from tests.support.storms.processes import Workers

pytestmark = pytest.mark.slow

TENANTS, CHANGES, ENDPOINTS, KILLS, PATIENCE = 100, 9, 3, 10, 240
#: How often an event meets bad luck at most: ten failures in a row would be the end of its delivery.
UNLUCKY = 6
WORKERS = {"sqlite": 1, "postgresql": 3}


class Receiver(http.server.ThreadingHTTPServer):
    """Answers 500 to a third, hangs now and then, closes without a word; takes the rest."""

    daemon_threads, request_queue_size = True, 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.begun: list[tuple[str, dict[str, Any]]] = []
        self.taken: set[str] = set()
        self.times: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.begun.append((self.headers["webhook-id"], event))
            self.server.times[event["id"]] += 1
            luck = random.random() if self.server.times[event["id"]] <= UNLUCKY else 1.0
            if luck >= 0.35:
                self.server.taken.add(event["id"])
        if luck < 0.001:
            time.sleep(20)
        if luck < 0.01:
            self.close_connection = True
            return
        self.send_response(500 if luck < 0.35 else 204)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_args: Any) -> None:
        pass


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    opened = [Receiver() for _ in range(ENDPOINTS)]
    for receiver in opened:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
    yield opened
    for receiver in opened:
        receiver.shutdown()
        receiver.server_close()


@pytest.fixture
def fast(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says how fast the clock is."""
    path = tmp_path / "clock"
    path.write_text("0")
    monkeypatch.setitem(os.environ, "STORM_URL", database_url)
    monkeypatch.setitem(os.environ, "STORM_CLOCK", str(path))
    return path


@pytest.fixture
def workers(fast: Path, database: str, tmp_path: Path) -> Iterator[Workers]:
    new_workers = Workers(telling_host.__name__, WORKERS[database], tmp_path)
    yield new_workers
    new_workers.stop()


def test_every_event_reaches_every_endpoint(
    receivers: list[Receiver], workers: Workers, fast: Path, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    app = telling_host.create_app()
    partner, start = Caller(app), time.monotonic()
    for receiver in receivers:
        assert partner("POST", "/webhooks", json={"url": receiver.url}).status_code == 201
    tenants = []
    for kill in range(KILLS):
        tenants += [partner.create() for _ in range(TENANTS // KILLS)]
        for change in range(CHANGES):
            for tenant in tenants[-TENANTS // KILLS :]:
                assert partner("PATCH", tenant_path(tenant), json={"plan": f"{kill} {change}"}).status_code == 200
        time.sleep(random.uniform(0.2, 1.0))
        workers.kill_one()
    events = [event for event in read_feed(partner, limit=1000) if event["type"].startswith("tenant.")]
    wanted, ahead = {event["id"]: event for event in events}, 0
    assert len(wanted) == TENANTS * (1 + CHANGES)
    while any(receiver.taken < wanted.keys() for receiver in receivers) and time.monotonic() - start < PATIENCE:
        time.sleep(1.5)
        ahead += 3600
        fast.write_text(str(ahead))

    for receiver in receivers:
        assert receiver.taken == wanted.keys(), "nothing lost"
        first: dict[str, list[int]] = defaultdict(list)
        seen = set[str]()
        for id, event in receiver.begun:
            assert event == wanted[id], "nothing invented, the same at every attempt"
            if id not in seen:
                first[event["tenant"]].append(event["data"]["version"])
            seen.add(id)
        assert all(versions == sorted(versions) for versions in first.values()), "first attempts in order"
    deadline = time.monotonic() + 30
    while any(row["state"] == "pending" for row in fetch_rows(app, "deliveries")) and time.monotonic() < deadline:
        time.sleep(1)
        ahead += 3600
        fast.write_text(str(ahead))
    assert {row["state"] for row in fetch_rows(app, "deliveries")} == {"succeeded"}
    requests = sum(len(receiver.begun) for receiver in receivers)
    with capsys.disabled():
        summary = f"{len(wanted)} events, {KILLS} kills: {requests} requests, {time.monotonic() - start:.0f} s"
        print(f"\n{database}: {summary}", file=sys.stderr)
