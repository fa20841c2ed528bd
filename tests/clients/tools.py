"""The generators and compilers that `make test-clients` installs into the folder `.clients`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: A virtual environment with `node_modules` in it; each client's folder is below it, so that Node.js finds these.
TOOLS = ROOT / ".clients"
DRIVERS = Path(__file__).parent / "drivers"
#: How long one command may take, in seconds.
PATIENCE = 600


class Failed(AssertionError):
    """A generator, a compiler or a client ended with an error."""


def make_folder(name: str) -> Path:
    """Create an empty folder for a client or a report."""
    folder = TOOLS / "generated" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def run(folder: Path, *command: str | Path, status: tuple[int, ...] = (0,), **environment: str) -> str:
    """Run a command of `TOOLS` in `folder`, and return what it prints. Raises `Failed` for another status.

    The command finds no other program of this machine's than those of the system, and no configuration of the user's.
    """
    binaries = (TOOLS / "bin", TOOLS / "node_modules" / ".bin")
    settings = {
        "PATH": os.pathsep.join([*map(str, binaries), "/usr/bin", "/bin"]),
        "HOME": str(TOOLS / "home"),
        # No reports of use, no looking for newer releases.
        "DO_NOT_TRACK": "1",
        "REDOCLY_TELEMETRY": "off",
        "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        # Go finds what it needs in its own folder, and beside it what stands in for the only dependency.
        "CGO_ENABLED": "0",
        "GOCACHE": str(TOOLS / "go-cache"),
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "NO_COLOR": "1",
        **environment,
    }
    result = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if result.returncode not in status:
        raise Failed(f"{command[0]} in {folder} ended with {result.returncode}:\n{result.stdout[-6000:]}")
    return result.stdout
