"""Which engine a mount has, and the worker that does its work."""

from __future__ import annotations

from collections.abc import Callable

from ..config import Settings
from ..steps.running import StepWork
from ..web.mount import Engine, Mount
from .base import External
from .chores import Chores
from .embedded import Embedded
from .worker import Worker


def engine_of(settings: Settings, mount: Callable[[], Mount]) -> Engine:
    """The engine that the configuration asks for; `mount` is asked for once there is work."""
    return Embedded(lambda: worker_of(mount())) if settings.engine == "embedded" else External()


def worker_of(mount: Mount, threads: int | None = None) -> Worker:
    """A worker for everything that follows the commits of `mount`."""
    settings = mount.settings
    work = StepWork(mount.storage, mount.hooks, mount.in_host, float(settings.worker_lease_seconds))
    chores = Chores(mount.storage)
    return Worker(work, chores, threads=threads or settings.worker_threads, poll=float(settings.worker_poll_seconds))
