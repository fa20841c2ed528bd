"""Run the shell blocks of the documentation."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def run_script(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a script; a server in it gets a free port, and the time that it needs to start."""
    port = find_free_port()
    ready = f"until curl -so /dev/null http://127.0.0.1:{port}/; do sleep 0.1; done"
    script = script.replace("127.0.0.1:5000", f"127.0.0.1:{port}").replace("flask run &\n", f"flask run &\n{ready}\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FLASK_RUN_PORT": str(port)}
    command = ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || :' EXIT\n{script}"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def find_free_port() -> int:
    """A port that is free now."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as probe:
        return probe.server_port
