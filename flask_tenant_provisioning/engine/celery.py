"""Celery brings work to whoever does it: messages of ids, sent by the host's own Celery app."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from celery import Celery
from flask import current_app
from kombu import Connection
from kombu.pools import ProducerPool

from ..config import ConfigurationError
from ..logs import reason_of
from ..steps.statements import KEY
from ..web.mount import Mount
from .herald import Herald
from .lookout import Lookout
from .tasks import BULK, CHORES, DELIVER, SWEEP, WORK

logger = logging.getLogger(__name__)

#: How many steps one message names, at most.
BATCH = 20
#: How long a broker may take for each part of a talk, in seconds.
PATIENCE = 2.0
#: How long one that did not answer is left alone, in seconds.
PAUSE = 10.0
#: Seconds after which a message of the beat's, or one that just says that there is something to deliver, is out of
#: date: workers that have been away need just the newest.
EXPIRY = 60
#: What else is woken by a key of its own: an endpoint by partner and id, a bulk job by its kind, partner and id.
ENDPOINT, JOB = ("partner_id", "id"), ("bulk", "partner_id", "id")
_CONNECTIONS = 4
#: A connection that has died is opened anew once; a broker that is away is not waited for.
_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_PATIENCE = dict.fromkeys(("socket_connect_timeout", "socket_timeout", "read_timeout", "write_timeout"), PATIENCE)


class CeleryEngine:
    """Sends keys to the workers of the host's Celery app, ``app.extensions["celery"]``.

    Losing a message loses nothing: the beat's sweep finds the rows. A broker that does not answer delays one request,
    and is then left alone for `PAUSE` seconds. Of ordinary writes a thread tells that begins with the first of them.
    """

    def __init__(self, mount: Callable[[], Mount], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._mount = mount
        self._monotonic = monotonic
        self._alone_until: float | None = None
        self._pools: dict[int, ProducerPool] = {}
        self._heralds: dict[int, Herald] = {}

    def serve(self) -> None:
        """Nothing: this process does none of the work."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Send the keys of steps, a few to a message; endpoints share one, bulk jobs another, which name none."""
        if steps := [key for key in keys if len(key) == len(KEY)]:
            self._carry(partial(self._send_steps, steps))
        if any(len(key) == len(ENDPOINT) for key in keys):
            self._carry(partial(self._send_once, DELIVER))
        if any(len(key) == len(JOB) for key in keys):
            self._carry(partial(self._send_once, BULK))

    def happened(self) -> None:
        """Have webhooks delivered soon: one message for all that this process writes meanwhile."""
        process = os.getpid()
        if process not in self._heralds:
            self._heralds.setdefault(process, Herald(self._tell))
        self._heralds[process].happened()

    def stop(self, grace: float) -> None:
        """Tell what has happened last. What workers do, they end by themselves."""
        if herald := self._heralds.pop(os.getpid(), None):
            herald.stop(grace)

    def _tell(self) -> None:
        """Send for whoever delivers webhooks, where there is one to deliver."""
        if Lookout(self._mount().storage).for_webhooks():
            self._carry(partial(self._send_once, DELIVER))

    def _carry(self, send: Callable[[], None]) -> None:
        """Call `send`, unless the broker did not answer lately."""
        if self._is_left_alone():
            return
        try:
            send()
        except Exception as error:
            if self._alone_until is None:
                reason = reason_of(error)
                logger.warning(
                    "Celery carries no work at present, its sweep will find what is due: %s",
                    reason,
                    extra={"error": reason},
                )
            self._alone_until = self._monotonic() + PAUSE
            return
        if self._alone_until is not None:
            self._alone_until = None
            logger.info("Celery carries work again", extra={"mount": self._mount().name})

    def _is_left_alone(self) -> bool:
        """Whether the broker did not answer before; now and then one caller finds out whether it does again."""
        now, until = self._monotonic(), self._alone_until
        if until is not None and now >= until:
            self._alone_until = now + PAUSE
        return until is not None and now < until

    def _send_steps(self, keys: Sequence[tuple[str, ...]]) -> None:
        name = self._mount().name
        messages = [((name, batch), f"({name!r}, {len(batch)} steps)") for batch in batches(keys)]
        self._send(WORK, messages)

    def _send_once(self, task: str) -> None:
        name = self._mount().name
        self._send(task, [((name,), f"({name!r},)")], expires=EXPIRY)

    def _send(self, task: str, messages: Sequence[tuple[tuple[Any, ...], str]], **options: Any) -> None:
        """Send a task once for each of `messages`: its arguments, and what the log says of them."""
        celery = celery_of(self._mount())
        with self._pool(celery).acquire(block=True, timeout=PATIENCE) as producer:
            sending: dict[str, Any] = {"producer": producer, "retry": True, "retry_policy": _ONCE, **options}
            for arguments, shown in messages:
                sending["argsrepr"] = shown
                celery.tasks[task].apply_async(arguments, **sending)

    def _pool(self, celery: Celery) -> ProducerPool:
        """This process's connections. A parent's are kept: closing a copy would close the parent's too."""
        process = os.getpid()
        if process not in self._pools:
            pool = ProducerPool(connection(celery).Pool(_CONNECTIONS), limit=_CONNECTIONS)
            self._pools.setdefault(process, pool)
        return self._pools[process]


def celery_of(mount: Mount) -> Celery:
    """The host's Celery app. Raises `ConfigurationError` where there is none."""
    with mount.in_host():
        found = current_app.extensions.get("celery")
    if not isinstance(found, Celery):
        raise ConfigurationError("keep your Celery app in app.extensions['celery'], as Flask's documentation does")
    return found


def connection(celery: Celery) -> Connection:
    """A connection to the host's broker that is not waited for, opened at first use."""
    return celery.connection_for_write(connect_timeout=PATIENCE, transport_options={**_PATIENCE, **_ONCE})


def batches(keys: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """`keys`, a few at a time."""
    for start in range(0, len(keys), BATCH):
        yield list(keys[start : start + BATCH])


def beat_schedule(*mounts: str, every: float = 5.0) -> dict[str, dict[str, Any]]:
    """What Celery's beat has to send for these mounts, ``provisioning`` by default: part of the host's `beat_schedule`.

    A sweep `every` so many seconds finds steps to be tried again, what dead workers left, and lost messages. Once a
    minute, chores remove what is past its time.
    """
    times = {SWEEP: every, CHORES: 60.0}
    return {
        f"{task}:{mount}": {"task": task, "args": (mount,), "schedule": seconds, "options": {"expires": EXPIRY}}
        for mount in mounts or ("provisioning",)
        for task, seconds in times.items()
    }
