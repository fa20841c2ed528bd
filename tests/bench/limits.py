"""Measure the cost of rate limits for a request: without any, counted in memory, and counted in Redis.

    python -m tests.bench.limits --db sqlite:////tmp/limits.sqlite3 --redis redis://127.0.0.1:6379/5

The WSGI app is called in this process, with each kind in turn. First of all stands what a host without limits pays.
"""

from __future__ import annotations

import argparse
import statistics
import time
import timeit
from typing import Any

from flask import Flask
from werkzeug.test import EnvironBuilder, run_wsgi_app

from tests.bench.depth import Cost
from tests.support.callers import Caller
from tests.support.hosts import PREFIX, get_mount, make_host

LIMITS = {"PROVISIONING_RATE_LIMITS": {"read": "1000000/minute"}}


def hosts(db: str, redis: str) -> dict[str, Flask]:
    """A host of each kind, on one database."""
    return {
        "off": make_host(db),
        "memory": make_host(db, **LIMITS),
        "redis": make_host(db, **LIMITS, PROVISIONING_RATE_LIMIT_STORAGE=redis),
    }


def measure_unlimited(app: Flask, times: int = 1_000_000) -> float:
    """Return the nanoseconds that a request of a host without limits spends on them."""
    mount = get_mount(app)
    return timeit.timeit(lambda: mount.has_rate_limit("read"), number=times) / times * 1e9


def measure(apps: dict[str, Flask], requests: int) -> dict[str, Cost]:
    """Return the cost of one tenant's GET on each host: the median of so many `requests`."""
    callers = {name: Caller(app, "bench") for name, app in apps.items()}
    email = f"{time.time_ns()}@example.com"
    path = f"/tenants/{callers['off'].create(email=email)['tenant']}"
    for caller in [*callers.values()] * 50:
        _once(caller, path)
    taken = [[_once(caller, path) for caller in callers.values()] for _ in range(requests)]
    medians = (
        Cost(*(statistics.median(part) for part in zip(*costs, strict=True))) for costs in zip(*taken, strict=True)
    )
    return dict(zip(callers, medians, strict=True))


def _once(caller: Caller, path: str) -> Cost:
    headers = [("Authorization", f"Bearer {caller.token}")]
    environ = EnvironBuilder(PREFIX + path, headers=headers).get_environ()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    body, status, _ = run_wsgi_app(caller.app, environ, buffered=True)
    cost = Cost((time.process_time_ns() - cpu) / 1000, (time.perf_counter_ns() - wall) / 1000)
    assert status == "200 OK", b"".join(body)
    return cost


def main() -> None:
    """Print a line for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--redis", required=True)
    parser.add_argument("--requests", type=int, default=3000)
    arguments: Any = parser.parse_args()
    apps = hosts(arguments.db, arguments.redis)
    print(f"without limits a request spends {measure_unlimited(apps['off']):.0f} ns on them")
    print("counted in   µs CPU   µs wall")
    for name, cost in measure(apps, arguments.requests).items():
        print(f"{name:10} {cost.cpu:8.0f} {cost.wall:9.0f}")


if __name__ == "__main__":
    main()
