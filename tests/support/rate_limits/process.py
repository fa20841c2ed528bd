"""A process of a host with rate limits.

``python -m tests.support.rate_limits.process DATABASE STORAGE MOUNT PARTNER COUNT`` prints "ready", waits for a line,
and prints the statuses of so many requests of the partner, sent by eight threads.
"""

from __future__ import annotations

import itertools
import json
import sys

from tests.support.callers import Caller
from tests.support.hosts import make_host
from tests.support.servers import run_concurrently

LIMIT = 20


def main(database: str, storage: str, mount: str, partner: str, count: str) -> None:
    """Send them."""
    config = {"PROVISIONING_RATE_LIMITS": {"read": f"{LIMIT}/hour"}, "PROVISIONING_RATE_LIMIT_STORAGE": storage}
    app = make_host(database, {"name": mount}, **config)
    print("ready", flush=True)
    sys.stdin.readline()
    statuses = run_concurrently(8, lambda _: _statuses(Caller(app, partner), int(count) // 8))
    print(json.dumps([*itertools.chain(*statuses)]))


def _statuses(caller: Caller, count: int) -> list[int]:
    return [caller("GET", "/tenants").status_code for _ in range(count)]


if __name__ == "__main__":
    main(*sys.argv[1:])
