"""Duration of a first attempt beside an endpoint that lets every request hang."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.callers import Caller
from tests.support.storms import telling_host
from tests.support.storms.processes import Workers
from tests.support.waiting import wait_for
from tests.support.webhooks.event_receiver import Receiver

pytestmark = [pytest.mark.slow, pytest.mark.alone("a percentile of latencies")]

SECONDS, HANG, OTHERS = 20.0, 15.0, 3


@pytest.fixture
def workers(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    (tmp_path / "clock").write_text("0")
    monkeypatch.setenv("STORM_URL", database_url)
    monkeypatch.setenv("STORM_CLOCK", str(tmp_path / "clock"))
    new_workers = Workers(telling_host.__name__, 1, tmp_path)
    yield new_workers
    new_workers.stop()


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    """The first one lets every request hang; the others note when each event came first."""
    opened = [Receiver() for _ in range(1 + OTHERS)]
    for receiver in opened:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
    yield opened
    for receiver in opened:
        receiver.shutdown()
        receiver.server_close()


def test_an_endpoint_that_hangs_delays_no_first_attempt(
    workers: Workers, receivers: list[Receiver], database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    hanging, *others = receivers
    hanging.answer = lambda event: (threading.Event().wait(HANG), (204, {}))[1]
    came: list[dict[str, float]] = [{} for _ in others]
    for receiver, times in zip(others, came, strict=True):
        receiver.answer = lambda event, times=times: (times.setdefault(event["tenant"], time.time()), (204, {}))[1]  # type: ignore[misc]
    partner = Caller(telling_host.create_app())
    for receiver in receivers:
        receiver.secret = partner("POST", "/webhooks", json={"url": receiver.url}).get_json()["secret"]
    first = partner.create()["tenant"]
    assert wait_for(lambda: all(first in times for times in came)), "the worker has started"

    written, end = {}, time.monotonic() + SECONDS
    while time.monotonic() < end:
        written[partner.create()["tenant"]] = time.time()
        time.sleep(0.02)
    assert wait_for(lambda: all(times.keys() >= written.keys() for times in came))
    assert len(hanging.ids) <= 5, "the hanging endpoint gets no further attempts"
    waited = sorted(times[tenant] - at for times in came for tenant, at in written.items())
    middle, late = statistics.median(waited), waited[len(waited) * 95 // 100]
    with capsys.disabled():
        print(f"\n{database}: {len(waited)} first attempts, median {middle:.2f} s, p95 {late:.2f} s")
    assert late < 2
