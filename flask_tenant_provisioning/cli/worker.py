"""`flask provisioning worker`: a process that runs steps, bulk jobs, deliveries and maintenance."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Callable, Iterator

import click
from flask.cli import with_appcontext

from ..workers.worker import make_worker
from .options import find_mount, mount_option
from .output import print_text


@click.command("worker", help="Run due work until SIGTERM or Ctrl-C. Any number of workers may run at once.")
@click.option("--threads", type=click.IntRange(1, 1000), help="Number of threads; by default as configured.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30,
    show_default=True,
    help="Seconds to wait for running work at the end.",
)
@click.option("--drain", is_flag=True, help="Exit when nothing is due, for use from cron.")
@mount_option
@with_appcontext
def worker(threads: int | None, grace: float, drain: bool, mount_name: str | None) -> None:
    """Run a worker. If it is killed, another one repeats its unfinished work once the lease has expired."""
    mount = find_mount(mount_name)
    running = make_worker(mount, threads)
    gc.freeze()  # skips loaded modules in collections, which took an eighth of a bulk job's Python time
    with handle_signals(running.stop):
        if drain:
            running.drain()
        else:
            print_text(f"Worker for {mount.name} started. Press Ctrl-C to stop.", err=True)
            running.run()
    unfinished = running.finish(grace)
    if unfinished:
        raise click.ClickException(f"{unfinished} steps were not finished. Another worker will run them again.")


@contextlib.contextmanager
def handle_signals(handler: Callable[[], None]) -> Iterator[None]:
    """Call `handler` on SIGTERM and SIGINT. Outside the main thread, which alone gets signals, this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: handler()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
