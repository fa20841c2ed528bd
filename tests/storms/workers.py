"""Celery workers and a beat in processes of their own, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Workers:
    """So many workers for one host, and its beat. What they print goes to `log`."""

    def __init__(self, count: int, environment: dict[str, str], log: Path) -> None:
        self._environment = environment
        self._log = log
        self._workers = [self._start("worker", "-c", "1", "-P", "prefork", "-n", f"w{number}") for number in range(count)]
        self._beat = self._start("beat", "-s", str(log.with_suffix(".beat")))

    def kill(self, worker: int) -> None:
        """SIGKILL to a worker and to all its children, and start another one."""
        found = next(process for process in self._workers if process.pid == worker)
        self._workers.remove(found)
        _kill(found)
        self._workers.append(self._start("worker", "-c", "1", "-P", "prefork", "-n", f"again{found.pid}"))

    def kill_child(self, worker: int, child: int) -> None:
        """SIGKILL to the process that does the work alone, as when memory runs out; its worker makes another."""
        assert worker in self.pids
        os.kill(child, signal.SIGKILL)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._workers]

    def stop(self) -> None:
        """Kill them all."""
        for process in (*self._workers, self._beat):
            _kill(process)

    def _start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "celery", "-A", "tests.storms.celery_host:app", command, "-l", "INFO", *options]
        if command == "worker":
            arguments += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                arguments, cwd=ROOT, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
