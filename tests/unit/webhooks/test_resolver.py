"""Names are looked up within a time, by a bounded number of threads."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from flask_tenant_provisioning.webhooks.client.resolver import Resolver
from flask_tenant_provisioning.webhooks.client.ssrf import HostUnresolved, SsrfGuard, find_url_refusal
from tests.support.callers import Caller
from tests.support.hosts import get_mount
from tests.support.servers import run_concurrently
from tests.support.waiting import wait_for
from tests.support.webhooks.resolver import resolve_example_to

LONG = 30.0


class Stuck:
    """A resolver of the system's that does not answer about `slow` until it may."""

    def __init__(self) -> None:
        self.may, self.asked = threading.Event(), 0
        self.running = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            self.asked += 1
            self.running += 1
            self.most = max(self.most, self.running)
        if host == "slow":
            self.may.wait(LONG)
        with self._lock:
            self.running -= 1
        return [(0, 0, 0, "", (f"192.0.2.{port % 256}", port))]


def test_resolver_returns_the_systems_result_and_error() -> None:
    resolve = Resolver(LONG, 2, resolve_example_to("192.0.2.1"))
    assert resolve("example.com", 443, type=socket.SOCK_STREAM)[0][4] == ("192.0.2.1", 443)
    with pytest.raises(socket.gaierror, match="not known"):
        resolve("example.org", 443, type=socket.SOCK_STREAM)


def test_a_look_up_that_takes_too_long_is_given_up() -> None:
    stuck = Stuck()
    resolve = Resolver(0.05, 2, stuck)
    with pytest.raises(TimeoutError, match="no address of slow"):
        resolve("slow", 1)
    with pytest.raises(HostUnresolved):
        SsrfGuard(resolve=resolve).check("https://slow/")
    stuck.may.set()


def test_threads_are_bounded_and_come_free_again() -> None:
    stuck = Stuck()
    resolve = Resolver(0.05, 2, stuck)
    while stuck.running < 2:  # a thread that is started late passes over a look-up that was given up before
        with pytest.raises(TimeoutError):
            resolve("slow", 1)
    assert all(isinstance(error, TimeoutError) for error in run_concurrently(5, lambda _: resolve("slow", 1)))
    assert stuck.most == 2
    with pytest.raises(TimeoutError):
        resolve("fast", 1)
    stuck.may.set()
    assert wait_for(lambda: is_answered(resolve, "fast"))
    assert stuck.most == 2


def is_answered(resolve: Resolver, host: str) -> bool:
    try:
        return bool(resolve(host, 1))
    except TimeoutError:
        return False


def test_more_look_ups_than_threads_are_all_answered() -> None:
    stuck = Stuck()
    patient = Resolver(LONG, 2, stuck)
    results = run_concurrently(20, lambda number: patient("fast", number)[0][4][0])
    assert results == [f"192.0.2.{number}" for number in range(20)]
    assert stuck.most <= 2


@pytest.mark.one_database
def test_a_name_that_no_server_answers_for_holds_no_request(make_app: Callable[..., Flask]) -> None:
    stuck = Stuck()
    partner = Caller(make_app())
    mount = get_mount(partner.app)
    mount.url_refusal = functools.partial(find_url_refusal, mount.config, Resolver(0.05, 2, stuck))
    response = partner("POST", "/webhooks", json={"url": "https://slow/", "events": ["tenant.created"]})
    assert response.status_code == 400
    assert "does not lead to an address" in response.get_json()["errors"][0]["detail"]
    stuck.may.set()
