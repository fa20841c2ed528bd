"""A PostgreSQL of the test's own, which it may stop and start."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from sqlalchemy import URL, text

from tests.support.database import postgresql


class Cluster:
    """A throw-away cluster as durable as a real one: what it has committed survives every kind of stop."""

    def __init__(self) -> None:
        self._binaries = postgresql.find_binaries()
        self.url: URL = postgresql.start_server(self._binaries, durable=True)
        with postgresql.connect(self.url) as connection:
            self._data = Path(str(connection.scalar(text("SHOW data_directory"))))
        self._options = " ".join(map(shlex.quote, shlex.split((self._data / "postmaster.opts").read_text())[1:]))

    def stop(self, mode: str) -> None:
        """Stop it: ``fast`` ends every session in order, ``immediate`` just dies and recovers at its start."""
        self._control("stop", "-m", mode)

    def start(self) -> None:
        """Start it again, and wait until it takes connections."""
        self._control("start", "-o", self._options)

    def _control(self, *arguments: str) -> None:
        owner = self._data.stat()
        user, group, groups = (owner.st_uid, owner.st_gid, ()) if os.geteuid() == 0 else (None, None, None)
        with (self._data.parent / "output").open("ab") as log:
            subprocess.run(
                [self._binaries / "pg_ctl", "-D", self._data, "-w", *arguments],
                cwd=self._data.parent, user=user, group=group, extra_groups=groups, check=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, timeout=60,
            )  # fmt: skip
