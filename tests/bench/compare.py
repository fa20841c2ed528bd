"""CPU of a request beside another checkout of the project, in alternating slices of one run.

    git worktree add --detach /path/to/other COMMIT
    python -m tests.bench.compare /path/to/other --db sqlite --slices 50 --rounds 6
    python -m tests.bench.compare /path/to/other --db postgresql://localhost/bench

Each checkout runs in its own process, and the WSGI app is called there without a server. A slice is some milliseconds
of one endpoint in one process; then it is the other's turn. On a shared machine the time of a request moves by half
within a minute, but seldom between two slices. A process can be some percent faster than the next one of the same code,
by where its memory lies: each round starts new ones, in the other order. Each checkout has a database of its own: on
PostgreSQL its name ends in ``_here`` or ``_other``, and it must exist.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from werkzeug.test import EnvironBuilder, run_wsgi_app

#: The requests of a slice, by endpoint.
SLICE = {"post": 20, "get": 60, "list": 15}
WARM_UP_SLICES = 3
#: Number of the first request, behind those of the tenants that the target has made.
FIRST = 1_000_000


def serve(db: str, rows: int) -> None:
    """Measure a slice for each endpoint that is read from standard input: print the microseconds of CPU per request."""
    from tests.bench import target

    target.prepare(db, rows)
    headers, numbers = [("Authorization", f"Bearer {target.token()}")], itertools.count(FIRST)

    def build_environ(endpoint: str) -> dict[str, Any]:
        n = next(numbers)
        if endpoint == "post":
            body = json.loads(target.post_body(n))
            return EnvironBuilder(target.BASE, method="POST", json=body, headers=headers).get_environ()
        path, query = (target.get_path(n), None) if endpoint == "get" else (target.BASE, target.list_query(n))
        return EnvironBuilder(path, query_string=query, headers=headers).get_environ()

    print("ready", flush=True)
    for line in sys.stdin:
        environs = [build_environ(line.strip()) for _ in range(SLICE[line.strip()])]
        before = time.process_time()
        statuses = [run_wsgi_app(target.app, environ, buffered=True)[1] for environ in environs]
        seconds = time.process_time() - before
        assert all(status.startswith("2") for status in statuses), statuses
        print(seconds / len(environs) * 1e6, flush=True)


@contextlib.contextmanager
def open_checkout(checkout: Path, db: str, rows: int) -> Iterator[subprocess.Popen[str]]:
    """Context manager of a process that runs `serve` of this module with the code of `checkout`."""
    script = Path(__file__).read_text()
    command = [sys.executable, "-c", script, "--serve", db, "--rows", str(rows)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with subprocess.Popen(
        command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise SystemExit(f"the target of {checkout} did not start")
        yield process
        process.kill()


def measure_slice(process: subprocess.Popen[str], endpoint: str) -> float:
    """Return the microseconds of CPU per request of one slice."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{endpoint}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def measure_pairs(
    here: subprocess.Popen[str], other: subprocess.Popen[str], endpoint: str, slices: int
) -> list[tuple[float, float]]:
    """Return the microseconds per request of each slice here, and of the other's beside it."""
    pairs = []
    for n in range(slices + WARM_UP_SLICES):
        order: Iterable[subprocess.Popen[str]] = (here, other) if n % 2 else (other, here)
        by_process = {process: measure_slice(process, endpoint) for process in order}
        pairs.append((by_process[here], by_process[other]))
    return pairs[WARM_UP_SLICES:]


def describe(endpoint: str, rounds: list[list[tuple[float, float]]]) -> str:
    """Return the line of an endpoint: the medians of all slices, their ratio, and the ratio of each round."""
    ours, theirs = (statistics.median(pair[side] for pairs in rounds for pair in pairs) for side in (0, 1))
    ratios = [statistics.median(mine / yours for mine, yours in pairs) for pairs in rounds]
    by_round = " ".join(f"{ratio:.2f}" for ratio in ratios)
    return f"{endpoint:5} {ours:6.0f} µs, other {theirs:6.0f} µs: {ours / theirs:.3f} (rounds: {by_round})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("other", type=Path, nargs="?", help="the other checkout")
    parser.add_argument("--db", default="sqlite")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--slices", type=int, default=50, help="of each endpoint in each round")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.rows)
        return
    is_sqlite = arguments.db == "sqlite"
    results: dict[str, list[list[tuple[float, float]]]] = {endpoint: [] for endpoint in SLICE}
    for n in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            checkouts = {"here": Path.cwd(), "other": arguments.other}
            processes = {
                name: stack.enter_context(
                    open_checkout(
                        checkouts[name],
                        f"sqlite:///{folder}/{name}" if is_sqlite else f"{arguments.db}_{name}",
                        arguments.rows,
                    )
                )
                for name in (("here", "other") if n % 2 else ("other", "here"))
            }
            for endpoint, rounds in results.items():
                rounds.append(measure_pairs(processes["here"], processes["other"], endpoint, arguments.slices))
    for endpoint, rounds in results.items():
        print(describe(endpoint, rounds))


if __name__ == "__main__":
    main()
