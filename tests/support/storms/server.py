"""The quickstart host in a process of its own, under a real WSGI server, to be killed and started again."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jwt

from tests.support import hosts
from tests.support.servers import Address

QUICKSTART = Path(__file__).resolve().parents[3] / "examples" / "quickstart"
SECRET = "the secret that host and tests share, 32 bytes and more"
START_SECONDS = 30


class Server:
    """Waitress, or gunicorn with one worker, with the quickstart host, at one address however often it dies.

    What it prints goes to `log`.
    """

    def __init__(
        self, address: Address, database_url: str, log: Path, *, threads: int = 8, gunicorn: bool = False, **config: Any
    ) -> None:
        self.address = address
        self._log = log
        listen, count = f"--listen={address[0]}:{address[1]}", f"--threads={threads}"
        self._command = [sys.executable, "-m", "waitress", listen, count, "--call", "app:create_app"]
        if gunicorn:
            bind = f"--bind={address[0]}:{address[1]}"
            self._command = [sys.executable, "-m", "gunicorn", "--workers=1", count, bind, "app:create_app()"]
        self._environment = environment(PROVISIONING_DATABASE_URL=database_url, **config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises `RuntimeError` with what it printed if it does not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=QUICKSTART, env=self._environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        end = time.monotonic() + START_SECONDS
        while not answers(self.address):
            if self.dies_within(0.02) or time.monotonic() > end:
                self.kill()
                raise RuntimeError(f"the server did not start: {self._log.read_text()[-2000:]}")

    def dies_within(self, seconds: float) -> bool:
        """Wait this long for the server to end by itself, which it should not."""
        try:
            return self._require_process().wait(seconds) is not None
        except subprocess.TimeoutExpired:
            return False

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed, no connection is closed in order."""
        self._require_process().kill()
        self._require_process().wait(10)

    def stop(self, seconds: float = 20) -> None:
        """SIGTERM, and SIGKILL where that does not end it in time."""
        self._require_process().terminate()
        if not self.dies_within(seconds):
            self.kill()

    def _require_process(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server was never started")
        return self._process


def environment(**config: Any) -> dict[str, str]:
    """This process's environment with a licensed host's configuration in it, and no other `FLASK_*`."""
    licensed = {
        "JWT_SECRET_KEY": SECRET,
        "PROVISIONING_LICENSE": hosts.issue_license(),
        "PROVISIONING_LICENSE_PUBLIC_KEYS": {hosts.KEYS.kid: hosts.KEYS.public},
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FLASK_")}
    named = {f"FLASK_{name}": json.dumps(value) for name, value in {**licensed, **config}.items()}
    return {**kept, **named}


def signed_token(partner: str, *roles: str) -> str:
    """A token that the server accepts, good for an hour."""
    now = int(time.time())
    claims = {"sub": "storm", "type": "access", "jti": os.urandom(8).hex(), "fresh": False, "iat": now, "nbf": now}
    ours = {"partner_id": partner, "roles": list(roles or ("partner-admin",)), "exp": now + 3600}
    return jwt.encode({**claims, **ours}, SECRET, "HS256")


def answers(address: Address) -> bool:
    """Return whether the host's own page is there."""
    connection = http.client.HTTPConnection(*address, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
