"""The processor's time: what a busy machine, where one process waits for another's, does not change much."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sqlalchemy import Engine


def measure_all(engine: Engine) -> float:
    """Return the CPU seconds of this process and of the server's processes for this database (Linux, proc(5))."""
    return time.process_time() + measure_server(engine)


def measure_server(engine: Engine) -> float:
    """Return the CPU seconds of the server's processes for this database; 0 if it is in this process."""
    if engine.dialect.name == "sqlite":
        return 0.0
    return sum(map(_seconds, _processes(f" {engine.url.database} ")))


def _processes(database: str) -> list[Path]:
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith("postgres:") and database in title:
            pids.append(folder)
    return pids


def _seconds(process: Path) -> float:
    """Its time in user and in kernel mode."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
