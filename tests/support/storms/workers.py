"""Celery workers and a beat in processes of their own, in this one's environment, to be killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class Workers:
    """So many workers for the Celery app of the module `host`, and its beat. What they print goes to `log`."""

    def __init__(self, count: int, log: Path, host: str) -> None:
        self._log = log
        self._host = host
        self._workers = [self._worker() for _ in range(count)]
        self._beat = self._start("beat", "-s", str(log.with_suffix(".beat")))

    def kill(self, worker: int) -> None:
        """SIGKILL to a worker and to all its children; another one is started."""
        victim = next(process for process in self._workers if process.pid == worker)
        self._workers.remove(victim)
        _kill(victim)
        self._workers.append(self._worker())

    def kill_child(self, child: int) -> None:
        """SIGKILL to the process that works for a worker, as when memory runs out; its worker makes another."""
        os.kill(child, signal.SIGKILL)

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [process.pid for process in self._workers]

    def output(self) -> str:
        """The last of what they printed."""
        return self._log.read_text(errors="replace")[-5000:]

    def stop(self) -> None:
        """Kill them all."""
        for process in (*self._workers, self._beat):
            _kill(process)

    def _worker(self) -> subprocess.Popen[bytes]:
        quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        return self._start("worker", "-c", "1", "-n", f"storm-{os.urandom(4).hex()}", *quiet)

    def _start(self, command: str, *options: str) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", "celery", "-A", f"{self._host}:celery", command, *options]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*arguments, "-l", "INFO"], cwd=ROOT, start_new_session=True,
                stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            )  # fmt: skip


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)
