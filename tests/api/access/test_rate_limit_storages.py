"""Rate limit storages: Redis, the host's own Limiter, and no counting while the storage is unavailable."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from limits import parse
from limits.strategies import FixedWindowRateLimiter

from flask_tenant_provisioning.rate_limits import (
    RETRY_SECONDS,
    STORAGE_TIMEOUT_SECONDS,
    RequestCounter,
    WindowCounter,
    format_key_part,
    get_request_counter,
)
from tests.support.callers import Caller
from tests.support.clock import LONG_LIVED_TOKENS, Clock
from tests.support.hosts import get_mount, is_isolated
from tests.support.isolated_hosts import IsolatedHost, Make, call_url
from tests.support.rate_limits.clocked_storage import ClockedStorage, ManualClock, hand as hand
from tests.support.rate_limits.process import LIMIT
from tests.support.rate_limits.requests import HOSTILE_PARTNER_IDS, read_rate_limit_headers, send_requests
from tests.support.waiting import wait_for
from tests.support.webhooks.receivers import Receiver, open_unreachable_port, stay_silent
from tests.support.workers.brokers import Broker, open_broker

MakeApp = Callable[..., Flask]
AWAY = "rate limits: the storage is unavailable ({}); no request is refused"
BACK = "rate limits: the storage is available again"
LOGGER = "flask_tenant_provisioning.rate_limits"
READ = {"PROVISIONING_RATE_LIMITS": {"read": "2/hour"}}


@pytest.fixture
def shared() -> Iterator[Broker]:
    """A part of Redis: the mount that counts in it has its name, and what it leaves is removed."""
    with open_broker("redis") as broker:
        yield broker
        for key in keys(broker):
            with redis.Redis.from_url(broker.url) as client:
                client.delete(key)


def keys(broker: Broker) -> list[str]:
    """The keys of what is counted."""
    with redis.Redis.from_url(broker.url) as client:
        return [key.decode() for key in client.scan_iter(f"*/{broker.name}/*")]


def make_counted_caller(make_app: MakeApp, broker: Broker, **limits: str) -> Caller:
    """A partner of a host that counts in Redis."""
    config = {"PROVISIONING_RATE_LIMITS": limits, "PROVISIONING_RATE_LIMIT_STORAGE": broker.url}
    return Caller(make_app(mount={"name": broker.name}, **config))


# Redis.


@pytest.mark.one_database("what is counted is counted in Redis")
def test_two_processes_count_together(database_url: str, shared: Broker) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.support.rate_limits.process",
        database_url,
        shared.url,
        shared.name,
        "acme",
        "24",
    ]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes: list[Any] = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("now\n")
        process.stdin.flush()
    first, second = (json.loads(process.communicate(timeout=60)[0]) for process in processes)
    assert sorted(first + second) == [200] * LIMIT + [429] * (48 - LIMIT)


@pytest.mark.one_database("what is counted is counted in Redis")
def test_redis_says_when_there_are_more(make_app: MakeApp, shared: Broker) -> None:
    partner = make_counted_caller(make_app, shared, read="1/second", write="2/hour")
    assert read_rate_limit_headers(partner("POST", "/tenants", json={}))[0] == '"write";r=1;t=3600'
    for _ in range(20):  # the second may end between two requests
        partner("GET", "/tenants")
        response = partner("GET", "/tenants")
        if response.status_code == 429:
            break
    assert (response.status_code, read_rate_limit_headers(response)) == (429, ('"read";r=0;t=1', '"read";q=1;w=1', "1"))
    assert wait_for(lambda: partner("GET", "/tenants").status_code == 200, 3)


@pytest.mark.one_database("what is counted is counted in Redis")
def test_any_name_makes_a_short_plain_key(make_app: MakeApp, shared: Broker) -> None:
    partner = make_counted_caller(make_app, shared, read="1/hour")
    for name in (*HOSTILE_PARTNER_IDS, "acme"):
        assert send_requests(Caller(partner.app, name), 2) == [200, 429], name
    storage_keys = keys(shared)
    assert [key for key in storage_keys if key.endswith(f"LIMITER/provisioning/{shared.name}/read/acme/1/1/hour")]
    assert len(storage_keys) == len(HOSTILE_PARTNER_IDS) + 1
    assert all(len(key) < 200 and key.isascii() and " " not in key for key in storage_keys)


def test_no_two_names_are_counted_together() -> None:
    names = [*HOSTILE_PARTNER_IDS, *map(format_key_part, HOSTILE_PARTNER_IDS), "acme"]
    assert len({*map(format_key_part, names)}) == len({*names})


# Away.


@pytest.fixture
def absent_redis_url() -> str:
    """The URL of a Redis that is not there."""
    with Receiver() as receiver:
        port = receiver.port
    return f"redis://:hunter2@127.0.0.1:{port}/0"


@pytest.fixture
def full() -> Iterator[str]:
    """The URL of a Redis that takes no connection."""
    with open_unreachable_port() as port:
        yield f"redis://:hunter2@127.0.0.1:{port}/0"


@pytest.mark.one_database("nothing is counted")
@pytest.mark.parametrize(("storage", "error"), [("absent_redis_url", "ConnectionError"), ("full", "TimeoutError")])
def test_failed_storage_refuses_no_request_and_is_logged_once(
    request: pytest.FixtureRequest, make_app: MakeApp, storage: str, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = request.getfixturevalue(storage)
    partner = Caller(make_app(**READ, PROVISIONING_RATE_LIMIT_STORAGE=url))
    with caplog.at_level(logging.INFO, LOGGER):
        assert send_requests(partner, 5) == [200] * 5
    assert read_rate_limit_headers(partner("GET", "/tenants")) == (None, None, None)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [(logging.ERROR, AWAY.format(error))]
    assert "hunter2" not in caplog.text


@pytest.mark.one_database("nothing is counted")
def test_a_silent_storage_holds_up_one_request_and_not_for_long(make_app: MakeApp) -> None:
    clock = Clock()
    with Receiver(stay_silent) as receiver:
        url = f"redis://127.0.0.1:{receiver.port}/0"
        partner = Caller(
            make_app(mount={"clock": clock}, **READ, PROVISIONING_RATE_LIMIT_STORAGE=url, **LONG_LIVED_TOKENS)
        )
        begin = time.monotonic()
        assert send_requests(partner, 1) == [200]
        waited = time.monotonic() - begin
        assert send_requests(partner, 10) == [200] * 10
        assert receiver.connections == 1
        clock.now += RETRY_SECONDS + 1
        assert send_requests(partner, 10) == [200] * 10
        assert receiver.connections == 2
    assert STORAGE_TIMEOUT_SECONDS <= waited < 20 * STORAGE_TIMEOUT_SECONDS


def test_recovered_storage_counts_again(make_app: MakeApp, hand: ManualClock, caplog: pytest.LogCaptureFixture) -> None:
    config = {**READ, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url, **LONG_LIVED_TOKENS}
    partner = Caller(make_app(mount={"clock": hand.clock}, **config))
    with caplog.at_level(logging.INFO, LOGGER):
        assert send_requests(partner, 1) == [200]
        hand.set_away()
        assert send_requests(partner, 4) == [200] * 4
        hand.wait(RETRY_SECONDS + 1)
        assert send_requests(partner, 2) == [200] * 2
        hand.set_away(False)
        hand.wait(RETRY_SECONDS + 1)
        assert send_requests(partner, 2) == [200, 429]
    assert caplog.messages == [AWAY.format("ConnectionError"), BACK]


def test_failed_storage_is_probed_by_one_request_at_a_time(make_app: MakeApp, hand: ManualClock) -> None:
    config = {**READ, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url, **LONG_LIVED_TOKENS}
    partner = Caller(make_app(mount={"clock": hand.clock}, **config))
    hand.set_away()
    assert send_requests(partner, 3) == [200] * 3
    storage: Any = counter(partner.app).storage
    assert storage.asked == 1
    hand.wait(RETRY_SECONDS + 1)
    with hand.hold():
        asking = threading.Thread(target=send_requests, args=(partner.with_roles("partner-viewer"), 1))
        asking.start()
        assert wait_for(lambda: storage.asked == 2)
        assert send_requests(partner, 5) == [200] * 5
        assert asking.is_alive()
    asking.join(10)
    assert storage.asked == 2


def test_a_clock_that_is_set_back_does_not_prolong_an_outage(make_app: MakeApp, hand: ManualClock) -> None:
    config = {**READ, "PROVISIONING_RATE_LIMIT_STORAGE": hand.url, **LONG_LIVED_TOKENS}
    partner = Caller(make_app(mount={"clock": hand.clock}, **config))
    hand.set_away()
    assert send_requests(partner, 1) == [200]
    hand.set_away(False)
    hand.wait(-60)
    assert send_requests(partner, 3) == [200, 200, 429]


# Windows.


def test_the_end_of_a_fixed_window_is_asked_once(hand: ManualClock) -> None:
    storage = ClockedStorage(hand.url)
    strategy = FixedWindowRateLimiter(storage)
    windows, item = WindowCounter(hand.clock), parse("3/minute")
    results = [windows.hit(strategy, item, "k") for _ in range(3)]
    assert [tuple(count) for count in results] == [(True, left, hand.clock.now + 60) for left in (2, 1, 0)]
    assert (storage.asked, storage.looked) == (3, 1)
    assert windows.hit(strategy, item, "k") == (False, 0, hand.clock.now + 60)
    assert (storage.asked, storage.looked) == (4, 2)


def test_a_window_that_another_process_began_is_known(hand: ManualClock) -> None:
    storage = ClockedStorage(hand.url)
    strategy = FixedWindowRateLimiter(storage)
    counter, other, item = WindowCounter(hand.clock), WindowCounter(hand.clock), parse("9/minute")
    for windows in (counter, other):
        windows.hit(strategy, item, "k")
    hand.wait(70)
    assert counter.hit(strategy, item, "k").resets_at == hand.clock.now + 60
    assert other.hit(strategy, item, "k") == (True, 7, hand.clock.now + 60)


# The host, and a limiter of ours.


def counter(app: Flask) -> Limiter:
    """The limiter that counts for the mount."""
    limiter = get_request_counter(get_mount(app)).limiter
    assert limiter is not None
    return limiter


def test_own_limiter_registers_nothing_on_the_host(make_app: MakeApp) -> None:
    plain, app = make_app(), make_app(**READ)
    assert send_requests(Caller(app), 3) == [200, 200, 429]
    assert app.extensions.keys() == plain.extensions.keys()
    for registry in ("before_request_funcs", "after_request_funcs", "teardown_request_funcs"):
        assert getattr(app, registry).get(None) == getattr(plain, registry).get(None), registry
    assert not [key for key in app.config if key.startswith("RATELIMIT_")]


def test_storage_is_created_at_the_first_request(make_app: MakeApp) -> None:
    app = make_app(**READ)
    assert RequestCounter not in get_mount(app).made_once
    assert send_requests(Caller(app), 1) == [200]
    assert RequestCounter in get_mount(app).made_once


def limiter(host: IsolatedHost, **options: Any) -> Limiter:
    """A Limiter of the host's."""
    return Limiter(get_remote_address, app=host.app, storage_uri="memory://", **options)


def make_host(make: Make) -> IsolatedHost:
    """A host with limits and with whichever mount this run is about."""
    return make(PROVISIONING_MOUNT="isolated" if is_isolated() else "blueprint", **READ)


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("strategy", ["fixed-window", "moving-window"])
def test_the_hosts_limiter_counts_with_its_storage_strategy_and_prefix(make: Make, later: bool, strategy: str) -> None:
    host = make_host(make)
    host_limiter = None if later else limiter(host, strategy=strategy, key_prefix="ours")
    partner = host.open()
    host_limiter = host_limiter or limiter(host, strategy=strategy, key_prefix="ours")
    assert send_requests(partner, 3) == [200, 200, 429]
    assert counter(host.app) is host_limiter
    storage: Any = host_limiter.storage
    counted = storage.storage if strategy == "fixed-window" else storage.events
    assert [*counted] == [f"LIMITER/ours/provisioning/provisioning/read/{partner.partner}/2/1/hour"]


def test_two_mounts_are_counted_apart_by_one_limiter(make: Make) -> None:
    host = make_host(make)
    limiter(host)
    partner = host.open()
    host.mount_another("eu", url_prefix="/eu")
    assert send_requests(partner, 3) == [200, 200, 429]
    assert [call_url(partner, "GET", "/eu/tenants").status_code for _ in range(3)] == [200, 200, 429]


def test_first_of_several_limiter_prefixes_applies(make: Make) -> None:
    host = make_host(make)
    limiters = {prefix: limiter(host, key_prefix=prefix) for prefix in ("c", "a", "b")}
    partner = host.open()
    assert send_requests(partner, 3) == [200, 200, 429]
    assert counter(host.app) is limiters["a"]


def test_disabled_host_limiter_counts_nothing(make: Make) -> None:
    host = make_host(make)
    host_limiter = limiter(host)
    partner = host.open()
    host_limiter.enabled = False
    assert send_requests(partner, 4) == [200] * 4
    host_limiter.enabled = True
    assert send_requests(partner, 3) == [200, 200, 429]


def test_a_limiter_that_was_never_on_counts_nothing(make: Make) -> None:
    host = make(PROVISIONING_MOUNT="isolated" if is_isolated() else "blueprint", RATELIMIT_ENABLED=False, **READ)
    limiter(host)
    assert send_requests(host.open(), 4) == [200] * 4


def test_the_hosts_limits_and_the_apis_are_counted_apart(make: Make) -> None:
    host = make_host(make)
    host_limiter = limiter(host, headers_enabled=True)
    host.app.add_url_rule("/own", "own", host_limiter.limit("1/hour")(lambda: "own"))
    host.app.add_url_rule("/free", "free", lambda: "free")
    partner = host.open()
    assert send_requests(partner, 2) == [200, 200]
    client = host.app.test_client()
    first, second, free = client.get("/own"), client.get("/own"), client.get("/free")
    assert (first.status_code, second.status_code, free.status_code) == (200, 429, 200)
    assert not any("RateLimit" in response.headers for response in (first, second, free))
    assert send_requests(partner, 1) == [429]


def test_failed_host_storage_refuses_no_request(make: Make, hand: ManualClock) -> None:
    host = make_host(make)
    Limiter(get_remote_address, app=host.app, storage_uri=hand.url)
    partner = host.open()
    hand.set_away()
    assert send_requests(partner, 3) == [200] * 3
    assert read_rate_limit_headers(partner("GET", "/tenants"))[0] is None


WITHOUT_THE_EXTRA = """
import sys
sys.modules["flask_limiter"] = sys.modules["limits"] = None
from tests.support.callers import Caller
from tests.support.hosts import make_host
try:
    print(Caller(make_host(sys.argv[1], PROVISIONING_RATE_LIMITS={}))("GET", "/tenants").status)
    config = {"PROVISIONING_RATE_LIMITS": {"read": "1/day"}, "PROVISIONING_RATE_LIMIT_STORAGE": "redis://127.0.0.1"}
    make_host(sys.argv[1], **config)
except Exception as error:
    print(error)
"""


@pytest.mark.one_database("says nothing of the database")
def test_missing_limiter_extra_refuses_rate_limits_with_the_install_command(database_url: str) -> None:
    command = [sys.executable, "-c", WITHOUT_THE_EXTRA, database_url]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    install = "pip install 'flask-tenant-provisioning[limiter]'"
    assert result.stdout.splitlines() == [
        "200 OK",
        f"PROVISIONING_RATE_LIMITS must be None, or {install}, not {{'read': '1/day'}}.",
        f"PROVISIONING_RATE_LIMIT_STORAGE must be 'memory://', or {install}.",
    ]
