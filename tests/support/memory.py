"""A server and a worker in processes of their own, whose peak of memory is looked at (Linux, proc(5))."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import re
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from flask_tenant_provisioning.workers.worker import make_worker
from tests.support.hosts import get_mount, make_host
from tests.support.servers import Address, serve

MIB = 1 << 20


class MeasuredProcess:
    """A process with its memory while idle."""

    def __init__(self, pid: int) -> None:
        self._status, self._clear = Path(f"/proc/{pid}/status"), Path(f"/proc/{pid}/clear_refs")
        self.idle = self._memory("VmRSS")
        self.forget()

    def forget(self) -> None:
        """Begin to look for a new peak."""
        self._clear.write_text("5")

    def growth(self) -> int:
        """Return the greatest growth of the process over its idle memory since `forget`, in bytes."""
        return self._memory("VmHWM") - self.idle

    def _memory(self, name: str) -> int:
        match = re.search(rf"^{name}:\s+(\d+) kB$", self._status.read_text(), re.MULTILINE)
        assert match, name
        return int(match[1]) * 1024


class Processes(NamedTuple):
    """A server at `address`, and a worker."""

    address: Address
    server: MeasuredProcess
    worker: MeasuredProcess


@contextlib.contextmanager
def run_processes(url: str, **config: Any) -> Iterator[Processes]:
    """A host's server and its worker on this database, until the block ends."""
    with _start_child(_serve, url, config) as (server, address), _start_child(_work, url, config) as (worker, _):
        yield Processes(address, server, worker)


@contextlib.contextmanager
def _start_child(task: Any, url: str, config: dict[str, Any]) -> Iterator[tuple[MeasuredProcess, Any]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=task, args=(theirs, url, config))
    process.start()
    theirs.close()
    try:
        ready = ours.recv()
        yield MeasuredProcess(process.pid or 0), ready
    finally:
        ours.close()
        process.join(30)


def _serve(parent: Connection, url: str, config: dict[str, Any]) -> None:
    app = make_host(url, **config)
    app.test_client().get("/api/provisioning/openapi.json")
    with serve(app, threads=4) as address:
        parent.send(address)
        with contextlib.suppress(EOFError):
            parent.recv()


def _work(parent: Connection, url: str, config: dict[str, Any]) -> None:
    worker = make_worker(get_mount(make_host(url, **config)))
    worker.drain()
    gc.freeze()  # As `flask provisioning worker` does.
    thread = threading.Thread(target=worker.run)
    thread.start()
    parent.send(None)
    with contextlib.suppress(EOFError):
        parent.recv()
    worker.stop()
    worker.finish(20)
    thread.join()
