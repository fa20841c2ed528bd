"""``flask provisioning worker``: a process that does what follows the commits."""

from __future__ import annotations

import contextlib
import gc
import signal
import threading
from collections.abc import Iterator

import click
from flask.cli import with_appcontext

from ..workers.worker import Worker, make_worker
from .errors import report_problems
from .options import find_mount, mount_option
from .output import print_text


@click.command("worker", help="Run the steps that are due, until SIGTERM or Ctrl-C.")
@click.option("--threads", type=click.IntRange(1, 1000), help="How many steps at once; by default as configured.")
@click.option(
    "--grace", type=click.FloatRange(0), default=30, show_default=True, help="Seconds for what is being done."
)
@click.option("--drain", is_flag=True, help="End once nothing is due, as for cron.")
@mount_option
@with_appcontext
def worker(threads: int | None, grace: float, drain: bool, mount: str | None) -> None:
    """Any number may run at once; what one that is killed has begun, another does again after its lease."""
    chosen = find_mount(mount)
    with report_problems():
        working = make_worker(chosen, threads)
        gc.freeze()  # What has been loaded stays: looking through it again was an eighth of a bulk job's Python.
        with _stop_on_signals(working):
            if drain:
                working.drain()
            else:
                print_text(f"Working for {chosen.name}; Ctrl-C stops.", err=True)
                working.run()
        if left := working.finish(grace):
            raise click.ClickException(f"{left} steps were not finished: another worker does them again.")


@contextlib.contextmanager
def _stop_on_signals(working: Worker) -> Iterator[None]:
    """Let SIGTERM and SIGINT stop the worker; elsewhere than in the main thread nobody sends any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: working.stop()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
