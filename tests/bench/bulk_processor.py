"""The processor's time: what a busy machine, where one process waits for another's, does not change much."""

from __future__ import annotations

import os
import time
from pathlib import Path

from sqlalchemy import Engine


def seconds(engine: Engine) -> float:
    """What this process, and all of the server's for this database that are there now, have had (Linux, proc(5))."""
    return time.process_time() + served(engine)


def served(engine: Engine) -> float:
    """What the server's processes for this database have had; 0 where the database is in the process."""
    if engine.dialect.name == "sqlite":
        return 0.0
    return sum(map(_seconds, _processes(f" {engine.url.database} ")))


def _processes(database: str) -> list[Path]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if title.startswith("postgres:") and database in title:
            found.append(folder)
    return found


def _seconds(process: Path) -> float:
    """Its time in user and in kernel mode."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
