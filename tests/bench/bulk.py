"""Measure time and memory of a bulk job that creates tenants, beside a hand-written loader run just before it.

    python -m tests.bench.bulk --db postgresql://root@127.0.0.1:5432/bench --rows 10000 100000 1000000 --workers 2
    python -m tests.bench.bulk --db sqlite:////tmp/bench.sqlite3 --rows 10000 100000 --floor-only

The floor is COPY into a staging table and INSERT … SELECT on PostgreSQL, `executemany` in one transaction on SQLite:
"whole" from the file of rows on, "database" without making them ready. Ours is whole: from the first byte of the upload
to the last chunk's commit, by workers that stand ready. The processor's time is the client's and the server's together;
the floor's is that of its part "database", which uses one core at a time, and ours is spread over all. Memory is each
process's peak over what it took before. Tables with the prefix ``bench_`` are created again for each round; the other
tables of the database stay as they are.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from flask_tenant_provisioning.access.principal import Actor, Principal
from flask_tenant_provisioning.bulk import actions
from flask_tenant_provisioning.bulk.actions import Upload
from flask_tenant_provisioning.bulk.upload.limits import UploadLimits
from flask_tenant_provisioning.bulk.worker import BulkWork
from flask_tenant_provisioning.database.migration import downgrade, upgrade
from flask_tenant_provisioning.mount import Mount
from flask_tenant_provisioning.workers.worker import Worker
from tests.bench import bulk_processor as processor
from tests.bench.bulk_checks import check_counters, check_rows
from tests.bench.bulk_floors import PARTNER, SUBJECT, Floor, floor
from tests.bench.bulk_processes import MIB, mounted, start_waiting
from tests.bench.bulk_rows import blocks, write

PREFIX = "bench_"
NDJSON = "application/x-ndjson"
LIMITS = UploadLimits(max_rows=1_000_000, max_bytes=1 << 30)
ACTOR = Actor(Principal.for_operator(SUBJECT, PARTNER))


HEAD = """\
              floor, rows/s         ours                         ours / floor        µs/row of processor MiB over idle
     rows  database     whole    rows/s  upload s    work s  database     whole     floor      ours    upload    worker\
"""


class Ours(NamedTuple):
    """Seconds until the upload is stored, and from then until its rows are tenants; the memory of both, in bytes;
    seconds of the processor, the server's too.
    """

    upload: float
    work: float
    receiver: int
    worker: int
    processor: float

    @property
    def whole(self) -> float:
        return self.upload + self.work


def receive(mount: Mount, path: Path) -> None:
    """Store the upload for the workers to find."""
    upload = Upload("create", "partial", dry_run=False, media_type=NDJSON, encoding=None, stream=blocks(path))
    job = actions.receive_upload(mount.storage, ACTOR, PARTNER, upload, LIMITS)
    mount.storage.transaction(partial(actions.queue_job, job=job))


def work(mount: Mount) -> None:
    """Do what is due of bulk jobs, until nothing is."""
    Worker(BulkWork(mount, lease=float(mount.config.worker_lease_seconds))).drain()


def provision(mount: Mount, url: str, path: Path, workers: int) -> Ours:
    """Upload the file in one process, and do its job in some others."""
    engine = mount.storage.engine
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(start_waiting(url, PREFIX, receive, path))
        ready = [stack.enter_context(start_waiting(url, PREFIX, work)) for _ in range(workers)]
        served, began = processor.measure_server(engine), time.monotonic()
        received = receiver()()
        stored = time.monotonic()
        worked = [end() for end in [begin() for begin in ready]]
        ended, served = time.monotonic(), processor.measure_server(engine) - served
        memory, spent = (
            max(process.memory for process in worked),
            sum(process.processor for process in (received, *worked)),
        )
        return Ours(stored - began, ended - stored, received.memory, memory, served + spent)


def empty(mount: Mount) -> None:
    """Create the tables again."""
    engine = mount.storage.engine
    downgrade(engine, PREFIX, "base")
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM")
    upgrade(engine, PREFIX)


def measure(mount: Mount, url: str, path: Path, count: int, workers: int) -> tuple[Floor, Ours | None]:
    """The floor, and ours where there are workers; what both leave in the tables is checked."""
    empty(mount)
    least = floor(mount.storage.engine, path, PREFIX)
    check_rows(mount.storage, count)
    if not workers:
        return least, None
    empty(mount)
    ours = provision(mount, url, path, workers)
    check_rows(mount.storage, count)
    check_counters(mount.storage, count)
    return least, ours


def line(count: int, least: Floor, ours: Ours | None) -> str:
    """The table's line about so many rows."""
    text = f"{count:9,} {count / least.database:9,.0f} {count / least.whole:9,.0f}"
    if ours is None:
        return text
    ratios = f"{least.database / ours.whole:9.0%} {least.whole / ours.whole:9.0%}"
    spent = f"{least.processor / count * 1e6:9.1f} {ours.processor / count * 1e6:9.1f}"
    memory = f"{ours.receiver / MIB:9.1f} {ours.worker / MIB:9.1f}"
    return f"{text} {count / ours.whole:9,.0f} {ours.upload:9.1f} {ours.work:9.1f} {ratios} {spent} {memory}"


def main() -> None:
    """Print a line for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db", required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--floor-only", action="store_true")
    arguments: Any = parser.parse_args()
    print(HEAD)
    mount = mounted(arguments.db, PREFIX)
    with tempfile.TemporaryDirectory() as folder:
        for count in arguments.rows:
            path = Path(folder, "upload.ndjson")
            write(path, count)
            workers = 0 if arguments.floor_only else arguments.workers
            print(line(count, *measure(mount, arguments.db, path, count, workers)), flush=True)


if __name__ == "__main__":
    main()
