"""Measure the rows of each bulk operation: in batches, and one by one if a host's hook takes part.

    python -m tests.bench.bulk_operations --db postgresql://root@127.0.0.1:5432/bench --tenants 100000 --rows 5000

A partner gets so many tenants, then each operation is done to so many of them, by one worker: rows a second. On
PostgreSQL first while the database knows nothing yet of its tables, then after it has looked at them (ANALYZE). Tables
with the prefix ``bench_`` are created again and dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from sqlalchemy import text

from flask_tenant_provisioning import TenantProvisioning
from flask_tenant_provisioning.database.migration import downgrade, upgrade
from flask_tenant_provisioning.hooks import HOOK_OPERATIONS as HOOKED
from tests.bench.bulk_rows import row
from tests.support.bulk import Bulk
from tests.support.callers import Caller
from tests.support.database.rows import get_storage
from tests.support.hosts import make_config

PREFIX = "bench_"
PARTNER = "bench"
Sent = Callable[[int], dict[str, Any]]


def _name_row(number: int, **more: Any) -> dict[str, Any]:
    return {"external_id": row(number)["external_id"], **more}


OPERATIONS: dict[str, Sent] = {
    "update": lambda number: _name_row(number, metadata={"note": str(random.random())}),
    "upsert": lambda number: {**row(number), "industry": str(random.random())},
    "suspend": _name_row,
    "reactivate": _name_row,
    "delete": _name_row,
}


def main() -> None:
    """Measure, and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--db", required=True, help="a database of the bench's own")
    options.add_argument("--tenants", type=int, default=100_000)
    options.add_argument("--rows", type=int, default=5_000)
    arguments = options.parse_args()
    with _hosts(arguments.db) as (plain, hooked):
        together, singly = (Bulk(app, Caller(app, PARTNER)) for app in (plain, hooked))
        print(f"create {_rate(together, 'create', row, range(arguments.tenants)):,.0f} rows/s")
        numbers = random.sample(range(arguments.tenants), 4 * arguments.rows)
        for statistics in ("nothing known", "analysed"):
            _compare(
                statistics,
                together,
                singly,
                [numbers.pop() for _ in range(arguments.rows)],
                [numbers.pop() for _ in range(arguments.rows)],
            )
            _analyse(plain)


@contextlib.contextmanager
def _hosts(url: str) -> Iterator[tuple[Flask, Flask]]:
    """Two hosts on the same tables; the second registers hooks for everything."""
    plain, hooked = _host(url), _host(url, *HOOKED)
    engine = get_storage(plain).engine
    downgrade(engine, PREFIX, "base")
    upgrade(engine, PREFIX)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            for table in ("tenants", "events", "bulk_keys"):
                connection.execute(text(f"ALTER TABLE {PREFIX}{table} SET (autovacuum_enabled = false)"))
    yield plain, hooked
    downgrade(engine, PREFIX, "base")


def _host(url: str, *operations: str) -> Flask:
    app = Flask("bench")
    app.config.update(make_config(PROVISIONING_AUTO_MIGRATE=False, PROVISIONING_TABLE_PREFIX=PREFIX))
    provisioning = TenantProvisioning(app, url)
    if operations:
        provisioning.hook(*operations)(_take_part)
    return app


def _take_part() -> None:
    """Nothing."""


def _analyse(app: Flask) -> None:
    with get_storage(app).engine.begin() as connection:
        connection.execute(text("ANALYZE"))


def _compare(statistics: str, together: Bulk, singly: Bulk, ours: list[int], others: list[int]) -> None:
    print(f"{statistics:<20}{'together':>12}{'one by one':>12}{'×':>8}")
    for operation, sent in OPERATIONS.items():
        fast, slow = _rate(together, operation, sent, ours), _rate(singly, operation, sent, others)
        print(f"{operation:<20}{fast:>12,.0f}{slow:>12,.0f}{fast / slow:>8.1f}")


def _rate(bulk: Bulk, operation: str, sent: Sent, numbers: Any) -> float:
    """Rows a second, from the upload's end to the last one's commit. Raises `SystemExit` where one has failed."""
    job = bulk.upload(operation, map(sent, numbers))
    start = time.perf_counter()
    bulk.work()
    taken = time.perf_counter() - start
    done = bulk.job(job)
    if done.succeeded != len(numbers):
        raise SystemExit(f"{operation}: {done.succeeded} of {len(numbers)} rows succeeded")
    return len(numbers) / taken


if __name__ == "__main__":
    main()
