"""A PgBouncer of the test's own in front of a PostgreSQL, where the program is installed."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.database import postgresql

#: With it a run fails where there is no PgBouncer, instead of skipping.
REQUIRE_VARIABLE = "PROVISIONING_TEST_REQUIRE_PGBOUNCER"
#: Fewer than the clients have, so that they take turns.
SERVER_CONNECTIONS = 3


def find_pgbouncer() -> str | None:
    """The program; Debian keeps it where root alone looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def start_pgbouncer(url: URL, mode: str) -> Iterator[URL]:
    """Start one whose `pool_mode` is `mode`, and yield the URL that leads through it to the database of `url`."""
    program = find_pgbouncer()
    if program is None:
        if os.environ.get(REQUIRE_VARIABLE, "") not in ("", "0"):
            pytest.fail(f"{REQUIRE_VARIABLE} is set, but there is no pgbouncer")
        pytest.skip("PgBouncer: not installed")
    owner = postgresql.find_unprivileged_user() if os.geteuid() == 0 else None
    home = Path(tempfile.mkdtemp(prefix="provisioning-pgbouncer-", dir="/tmp" if owner else None))
    port = postgresql.find_free_port()
    login = f"host={url.host} port={url.port or 5432} user={url.username}"
    (home / "pgbouncer.ini").write_text(
        f"[databases]\n* = {login}{f' password={url.password}' if url.password else ''}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = {mode}\ndefault_pool_size = {SERVER_CONNECTIONS if mode == 'transaction' else 50}\n"
        "max_client_conn = 500\nlogfile = \npidfile = \n"
    )
    if owner:
        for path in (home, home / "pgbouncer.ini"):
            os.chown(path, owner.pw_uid, owner.pw_gid)
    user, group, groups = (owner.pw_uid, owner.pw_gid, ()) if owner else (None, None, None)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, home / "pgbouncer.ini"], user=user, group=group, extra_groups=groups,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            end = time.monotonic() + 20
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError((home / "log").read_text(errors="replace")[-1000:])
                time.sleep(0.02)
            yield url.set(host="127.0.0.1", port=port)
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(home, ignore_errors=True)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
