"""Worker processes of a host, with some that are killed."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path


class Workers:
    """So many worker processes of the host in the module `host`; those that die are replaced."""

    def __init__(self, host: str, count: int, folder: Path) -> None:
        self._host, self._log = host, folder / "workers.log"
        self._processes = [self._start() for _ in range(count)]

    def kill_one(self) -> None:
        """SIGKILL one of them, and start another."""
        number = random.randrange(len(self._processes))
        self._processes[number].kill()
        self._processes[number].wait(10)
        self._processes[number] = self._start()

    def stop(self) -> None:
        """SIGKILL all of them."""
        for process in self._processes:
            process.kill()
            process.wait(10)

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "flask", "--app", self._host, "provisioning", "worker"]
        with self._log.open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
