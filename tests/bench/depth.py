"""Measure a page of 50 at the beginning of a partner's tenants, and after 99 % of them.

    python -m tests.bench.depth --db postgresql://localhost/bench --rows 2000000

The database is emptied and filled; the WSGI app is called in this process, at both depths in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sqlalchemy import make_url
from werkzeug.test import EnvironBuilder, run_wsgi_app

from flask_tenant_provisioning.tenants.listing import make_cursor_scope
from tests.bench import target
from tests.support.database.tenant_rows import creation_time, insert_rows, make_row, tenant_id
from tests.support.hosts import get_engine

SORTS = ("created_at", "-created_at", "client_name", "-client_name")


class Cost(NamedTuple):
    """The time of a request, in microseconds: the processor's time in this process, and time in all."""

    cpu: float
    wall: float

    def over(self, other: Cost) -> Cost:
        return Cost(self.cpu / other.cpu, self.wall / other.wall)


def prepare(db: str, rows: int) -> None:
    """Make a database with `rows` tenants of one partner, and the app on it."""
    _clear(db)
    target.prepare(db, 0)
    insert_rows(get_engine(target.app), (make_row(n, client_name=_name(n), industry=None) for n in range(rows)))


def _clear(db: str) -> None:
    url = make_url(db)
    if url.get_backend_name() == "sqlite" and url.database:
        for ending in ("", "-wal", "-shm"):
            Path(url.database + ending).unlink(missing_ok=True)


def _name(n: int) -> str:
    return f"Client {n:07}"


def place(rows: int, sort: str, depth: float) -> str:
    """Return the cursor after this share of all tenants."""
    n = round(rows * ((1 - depth) if sort.startswith("-") else depth))
    return f"{_name(n).casefold() if sort.endswith('client_name') else creation_time(n)}\n{tenant_id(n)}"


def query(rows: int, sort: str, depth: float) -> dict[str, str]:
    """The parameters of the page that begins there."""
    if not depth:
        return {"sort": sort}
    cursors = target.app.extensions["tenant_provisioning"]["provisioning"].cursors
    scope = make_cursor_scope(target.PARTNER, {"sort": sort, "include_deleted": False})
    return {"sort": sort, "cursor": cursors.seal(place(rows, sort, depth), scope)}


def measure(queries: list[dict[str, str]], requests: int) -> list[Cost]:
    """Return the cost of each of these pages: the median of so many `requests`, all pages in turn."""
    token = target.token()
    for query in queries * 20:
        _once(token, query)
    taken = [[_once(token, query) for query in queries] for _ in range(requests)]
    return [Cost(*(statistics.median(part) for part in zip(*costs, strict=True))) for costs in zip(*taken, strict=True)]


def _once(token: str, query: dict[str, str]) -> Cost:
    headers = [("Authorization", f"Bearer {token}")]
    environ = EnvironBuilder(target.BASE, query_string=urlencode(query), headers=headers).get_environ()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    body, status, _ = run_wsgi_app(target.app, environ, buffered=True)
    cost = Cost((time.process_time_ns() - cpu) / 1000, (time.perf_counter_ns() - wall) / 1000)
    assert status == "200 OK", b"".join(body)
    return cost


def main() -> None:
    """Print a line for each sort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--requests", type=int, default=2000)
    arguments: Any = parser.parse_args()
    began = time.perf_counter()
    prepare(arguments.db, arguments.rows)
    print(f"{arguments.rows:,} tenants written in {time.perf_counter() - began:.0f} s")
    print("sort           µs CPU at 0, 99 %, ratio    µs wall at 0, 99 %, ratio")
    for sort in SORTS:
        first, deep = measure([query(arguments.rows, sort, depth) for depth in (0, 0.99)], arguments.requests)
        ratio = deep.over(first)
        print(f"{sort:13} {first.cpu:9.0f} {deep.cpu:6.0f} {ratio.cpu:8.2f}", end=" ")
        print(f"{first.wall:12.0f} {deep.wall:6.0f} {ratio.wall:8.2f}")


if __name__ == "__main__":
    main()
