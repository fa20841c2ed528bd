"""Work in processes of their own, with what it takes of their memory."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import re
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from flask_tenant_provisioning.mount import Mount
from tests.support.hosts import get_mount, make_host

MIB = 1 << 20

Task = Callable[..., object]


class Took(NamedTuple):
    """The greatest growth of a process's memory in bytes, and its CPU seconds."""

    memory: int
    processor: float


#: Lets the process begin and returns, once it has done its work, what that took.
Begun = Callable[[], Callable[[], Took]]


def mounted(url: str, prefix: str) -> Mount:
    """A host's mount on this database, whose tables are up to date."""
    return get_mount(make_host(url, PROVISIONING_TABLE_PREFIX=prefix))


@contextlib.contextmanager
def start_waiting(url: str, prefix: str, task: Task, *arguments: Any) -> Iterator[Begun]:
    """A process that stands ready to call `task` with a mount of its own and what is `given`."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_stand, args=(theirs, url, prefix, task, *arguments))
    process.start()
    theirs.close()
    try:
        ours.recv()
        yield lambda: _begin(ours)
    finally:
        ours.close()
        process.join()


def _begin(process: Connection) -> Callable[[], Took]:
    process.send("begin")
    return process.recv


def _stand(parent: Connection, url: str, prefix: str, task: Task, *arguments: Any) -> None:
    mount = mounted(url, prefix)
    mount.storage.read(lambda session: None)
    gc.freeze()  # As `flask provisioning worker` does.
    Path("/proc/self/clear_refs").write_text("5")
    idle, before = _memory("VmRSS"), time.process_time()
    parent.send("ready")
    with contextlib.suppress(EOFError):
        parent.recv()
        task(mount, *arguments)
        parent.send(Took(_memory("VmHWM") - idle, time.process_time() - before))
        parent.recv()  # Until then the server keeps the processes that serve this one, whose time is looked at.


def _memory(name: str) -> int:
    """This process's memory in bytes: ``VmRSS`` now, ``VmHWM`` at most (Linux, proc(5))."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match, name
    return int(match[1]) * 1024
