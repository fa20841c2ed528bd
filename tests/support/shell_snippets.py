"""Run the shell blocks of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def run_script(script: str, folder: Path, timeout: int = 120) -> subprocess.CompletedProcess[str]:
    """Run a script, for at most `timeout` seconds; each server in it gets a free port and the time to start."""
    port, other = find_free_port(), find_free_port()
    ready = "until curl -so /dev/null http://127.0.0.1:{port}/; do sleep 0.1; done"
    script = script.replace("127.0.0.1:5000", f"127.0.0.1:{port}").replace("127.0.0.1:5001", f"127.0.0.1:{other}")
    script = script.replace("flask run &\n", f"flask run &\n{ready.format(port=port)}\n")
    script = script.replace("--port 5001 &\n", f"--port {other} &\n{ready.format(port=other)}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FLASK_RUN_PORT": str(port)}
    command = ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{script}"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def find_free_port() -> int:
    """A port that is free now."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as probe:
        return probe.server_port
