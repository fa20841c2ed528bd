"""Which engine a mount has, and the worker that does its work."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from ..bulk.working import BulkWork
from ..config import Settings
from ..steps.claims import Key
from ..steps.running import StepWork
from ..web.mount import Engine, Mount
from ..webhooks.allowed import guard_of
from ..webhooks.delivering import DeliveryWork
from ..webhooks.secrets import signing_keys
from ..webhooks.sending import Sender
from .base import External
from .chores import Chores
from .embedded import Embedded
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
    works = _steps(mount, threads), _deliveries(mount), _bulk(mount)
    return Worker(*works, chores=Chores(mount), lookout=Lookout(mount.storage), poll=poll)


def courier_of(mount: Mount) -> Worker:
    """A worker for the webhooks that are due."""
    return Worker(_deliveries(mount))


def provisioner_of(mount: Mount) -> Worker:
    """A worker for bulk jobs."""
    return Worker(_bulk(mount))


def errand_of(mount: Mount, keys: Iterable[Key]) -> Worker:
    """A worker for the steps of these keys alone."""
    return Worker(Listed(_steps(mount), keys))


def _steps(mount: Mount, threads: int | None = None) -> StepWork:
    slots, lease = threads or mount.settings.worker_threads, float(mount.settings.worker_lease_seconds)
    return StepWork(mount.storage, mount.hooks, mount.in_host, lease=lease, slots=slots)


def _bulk(mount: Mount) -> BulkWork:
    return BulkWork(mount, float(mount.settings.worker_lease_seconds))


def _deliveries(mount: Mount) -> DeliveryWork:
    sender, lease = Sender(guard_of(mount.settings)), float(mount.settings.worker_lease_seconds)
    return DeliveryWork(mount.storage, sender, partial(signing_keys, mount.keyring), lease)
