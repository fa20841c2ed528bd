"""Fuzz the running quickstart on SQLite and on PostgreSQL, as every role that writes; `make fuzz`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz import reached
from tests.fuzz.quickstart import (
    ROOT,
    Failure,
    Quickstart,
    callers,
    list_missing_ids,
    open_quickstart,
    silence_warnings,
    words,
)
from tests.fuzz.streams import describe_streams

TALLY = "exempted.txt"
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
DATABASES = ("sqlite", "postgresql")
ROLES = ("partner-admin", "provisioning-admin")
SEED = 20250210
EXAMPLES = 30
#: Further rounds of the stateful phase: a walk that meets another state than in its rehearsal ends the round early.
WALKS = 1
PATIENCE = 900


class Run(NamedTuple):
    """One role on one database."""

    database: str
    role: str
    seed: int
    examples: int

    @property
    def repeat_command(self) -> str:
        """The command that repeats only this run."""
        which = f"--database {self.database} --role {self.role} --seed {self.seed} --examples {self.examples}"
        return f"make fuzz ARGS='{which}'"


def main() -> int:
    """Fuzz, and say what was found; 1 where something was."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    arguments = _parse_arguments()
    print(f"seed {arguments.seed}, {arguments.examples} examples an operation and phase", flush=True)
    by_database = [
        [Run(name, role, arguments.seed, arguments.examples) for role in arguments.role] for name in arguments.database
    ]
    with ThreadPoolExecutor(len(by_database)) as pool:
        wrong = [run for runs in pool.map(_expand_runs, by_database) for run in runs]
    for run in wrong:
        print(f"FAILED: {run.database}, {run.role}; again: {run.repeat_command}")
    return 1 if wrong else 0


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--database", action="append", choices=DATABASES, help="by default each")
    parser.add_argument("--role", action="append", choices=ROLES, help="by default each")
    parser.add_argument("--seed", type=int, default=SEED, help="default: %(default)s")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="default: %(default)s")
    arguments = parser.parse_args()
    arguments.database, arguments.role = arguments.database or DATABASES, arguments.role or ROLES
    return arguments


def _expand_runs(runs: list[Run]) -> list[Run]:
    """Do one after the other; return those that failed."""
    return [run for run in runs if not _run_and_report(run)]


def _run_and_report(run: Run) -> bool:
    """Do `run`, and print all of it at its end."""
    start = time.monotonic()
    try:
        with open_quickstart(run.database, run.role) as quickstart, tempfile.TemporaryDirectory() as folder:
            passed, output = _fuzz(run, quickstart, Path(folder))
    except (Failure, subprocess.TimeoutExpired) as error:
        passed, output = False, str(error)
    verdict = "passed" if passed else "failed"
    print(f"\n===== {run.database}, {run.role}: {verdict} ({time.monotonic() - start:.0f} s)\n{output}", flush=True)
    return passed


def _fuzz(run: Run, quickstart: Quickstart, folder: Path) -> tuple[bool, str]:
    """Run schemathesis; return whether it passed and saw every documented success, and its output."""
    document = quickstart.document()
    _prepare(quickstart, document, folder)
    rounds = [_schemathesis(run, quickstart, folder, number) for number in range(WALKS + 1)]
    answered = reached.answers(folder.glob("*.ndjson"))
    missed = reached.list_missed(document, answered, run.role)
    tripped = list_missing_ids(quickstart)
    lines = [done.stdout.strip() for done in rounds if done.returncode or done is rounds[0]]
    lines += [f"further stateful rounds: {WALKS}, without a failure: {sum(not done.returncode for done in rounds[1:])}"]
    lines += [reached.table(document, answered), *reached.count_exemptions(folder / TALLY)]
    lines += [f"never seen: {operation}" for operation in missed] + [
        f"a worker tripped over bulk job {job}" for job in tripped
    ]
    passed = not missed and not tripped and not any(done.returncode for done in rounds)
    return passed, "\n".join(lines)


def _prepare(quickstart: Quickstart, document: dict[str, Any], folder: Path) -> None:
    """Lay out what schemathesis reads. From a file, the document's own operation is fuzzed like the rest."""
    shutil.copy(CONFIGURATION, folder)
    (folder / "callers.json").write_text(callers(quickstart), "utf-8")
    (folder / "signs_in.json").write_text(json.dumps(quickstart.signs_in), "utf-8")
    (folder / "invitations.json").write_text(json.dumps(quickstart.invitations), "utf-8")
    for name, ids in quickstart.ids.items():
        (folder / f"{name}.dict").write_text(words(ids), "utf-8")
    (folder / "openapi.json").write_text(json.dumps(describe_streams(document)), "utf-8")


def _schemathesis(run: Run, quickstart: Quickstart, folder: Path, number: int) -> subprocess.CompletedProcess[str]:
    """The first round goes through every phase, each later one through the stateful one, from a seed of its own."""
    environment = {"FUZZ_ROLE": run.role, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", CONFIGURATION.name]
    command += ["run", "openapi.json", "--url", quickstart.base, "--no-color", "--seed", str(run.seed + number)]
    command += ["--report", "ndjson", "--report-ndjson-path", f"{number}.ndjson"]
    command += ["--phases", "stateful"] if number else ["--max-examples", str(run.examples)]
    return subprocess.run(
        command,
        cwd=folder,
        env=silence_warnings({**os.environ, **environment}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
