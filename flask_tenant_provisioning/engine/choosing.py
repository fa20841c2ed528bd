"""Which engine a mount has, and the worker that does its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..config import Settings
from ..steps.claims import Key
from ..web.mount import Engine, Mount
from .base import External
from .chores import Chores
from .embedded import Embedded
from .kinds import KINDS, Kind, step_work
from .listed import Listed
from .lookout import Lookout
from .worker import Worker


def engine_of(settings: Settings, mount: Callable[[], Mount]) -> Engine:
    """The engine that the configuration asks for; `mount` is asked for once there is work."""
    if settings.engine == "celery":
        from .celery import CeleryEngine

        return CeleryEngine(mount)
    return Embedded(lambda: worker_of(mount())) if settings.engine == "embedded" else External()


def worker_of(mount: Mount, threads: int | None = None) -> Worker:
    """A worker for everything that follows the commits of `mount`."""
    poll = float(mount.settings.worker_poll_seconds)
    works = [kind.work(mount, threads) for kind in KINDS if kind.work is not None]
    return Worker(*works, chores=Chores(mount), lookout=Lookout(mount.storage), poll=poll)


def worker_for(mount: Mount, kind: Kind) -> Worker:
    """A worker for one kind of work, which the chores do not do."""
    if kind.work is None:
        raise ValueError(f"no worker does {kind.name}")
    return Worker(kind.work(mount, None))


def errand_of(mount: Mount, keys: Iterable[Key]) -> Worker:
    """A worker for the steps of these keys alone."""
    return Worker(Listed(step_work(mount), keys))
