"""The Celery engine: sends ids of due work as messages through the host's own Celery app."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from celery import Celery
from flask import current_app
from kombu import Connection
from kombu.pools import ProducerPool

from ..config import ConfigurationError
from ..encoding import format_error
from ..mount import Mount
from ..steps.statements import STEP_KEY
from .kinds import DueCheck
from .tasks import BULK_TASK, DELIVERIES_TASK, STEPS_TASK

logger = logging.getLogger(__name__)
#: Seconds between two times of telling: what happens meanwhile is told together.
NOTIFY_DELAY = 0.5
#: How long a process that ends waits until what has happened is told, in seconds.
NOTIFY_STOP_TIMEOUT = 2.0


class Notifier:
    """Calls `tell` after `happened`: soon where nothing was told lately, else once `gather` seconds have passed.

    Whatever has happened before a call of `tell` begins is told by it. The thread begins with the first event; a fork
    has none of its parent's.
    """

    def __init__(self, tell: Callable[[], None], gather: float = NOTIFY_DELAY) -> None:
        self._tell, self._gather = tell, gather
        self._changed = threading.Condition()
        self._news = self._ending = False
        self._thread: threading.Thread | None = None

    def happened(self) -> None:
        """Let it be told soon."""
        if self._news:
            return
        with self._changed:
            self._news = True
            if self._thread is None:
                self._start()
            self._changed.notify()

    def stop(self, grace: float = NOTIFY_STOP_TIMEOUT) -> None:
        """Tell what has not been told, at once, and end; waits for `grace` seconds at most."""
        if self._thread is None or not self._thread.is_alive():
            return
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join(grace)
        atexit.unregister(self.stop)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="flask_tenant_provisioning-notifier", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        while self._wait_for_news():
            try:
                self._tell()
            except Exception as error:
                logger.warning(
                    "what has happened could not be told, a sweep finds it: %s", error, extra={"error": str(error)}
                )
            with self._changed:
                self._changed.wait_for(lambda: self._ending, self._gather)

    def _wait_for_news(self) -> bool:
        """Wait until something happens; False where nothing has and the process ends."""
        with self._changed:
            self._changed.wait_for(lambda: self._news or self._ending)
            heard, self._news = self._news, False
            return heard


#: How many steps one message names, at most.
STEPS_PER_MESSAGE = 20
#: How long a broker may take for each part of a talk, in seconds.
BROKER_TIMEOUT = 2.0
#: How long one that did not answer is left alone, in seconds.
BROKER_PAUSE = 10.0
#: Seconds after which a message of the beat's, or one that just says that there is something to deliver, is out of
#: date: workers that have been away need just the newest.
MESSAGE_EXPIRY = 60
#: What else is woken by a key of its own: an endpoint by partner and id, a bulk job by its kind, partner and id.
ENDPOINT_KEY, JOB_KEY = ("partner_id", "id"), ("bulk", "partner_id", "id")
_MAX_CONNECTIONS = 4
#: A connection that has died is opened anew once; a broker that is away is not waited for.
_RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_TIMEOUT_OPTIONS = dict.fromkeys(
    ("socket_connect_timeout", "socket_timeout", "read_timeout", "write_timeout"), BROKER_TIMEOUT
)


class CeleryEngine:
    """Sends keys to the workers of the host's Celery app, ``app.extensions["celery"]``.

    Losing a message loses nothing: the beat's sweep finds the rows. A broker that does not answer delays one request,
    and is then left alone for `BROKER_PAUSE` seconds. A thread that the first write starts tells of ordinary writes.
    """

    def __init__(self, mount: Callable[[], Mount], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._mount = mount
        self._monotonic = monotonic
        self._alone_until: float | None = None
        self._pools: dict[int, ProducerPool] = {}
        self._heralds: dict[int, Notifier] = {}

    def serve(self) -> None:
        """Nothing: this process does none of the work."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Send the keys of steps, a few to a message; endpoints share one, bulk jobs another, which name none."""
        if steps := [key for key in keys if len(key) == len(STEP_KEY)]:
            self._send_safely(partial(self._send_steps, steps))
        if any(len(key) == len(ENDPOINT_KEY) for key in keys):
            self._send_safely(partial(self._send_once, DELIVERIES_TASK))
        if any(len(key) == len(JOB_KEY) for key in keys):
            self._send_safely(partial(self._send_once, BULK_TASK))

    def happened(self) -> None:
        """Have webhooks delivered soon: one message for all that this process writes meanwhile."""
        process = os.getpid()
        if process not in self._heralds:
            self._heralds.setdefault(process, Notifier(self._tell))
        self._heralds[process].happened()

    def stop(self, grace: float) -> None:
        """Tell what has happened last. What workers do, they end by themselves."""
        if herald := self._heralds.pop(os.getpid(), None):
            herald.stop(grace)

    def _tell(self) -> None:
        """Send for whoever delivers webhooks, where there is one to deliver."""
        if DueCheck(self._mount().storage).has_webhook_work():
            self._send_safely(partial(self._send_once, DELIVERIES_TASK))

    def _send_safely(self, send: Callable[[], None]) -> None:
        """Call `send`, unless the broker did not answer lately."""
        if self._is_broker_paused():
            return
        try:
            send()
        except Exception as error:
            if self._alone_until is None:
                reason = format_error(error)
                logger.warning(
                    "Celery carries no work at present, its sweep will find what is due: %s",
                    reason,
                    extra={"error": reason},
                )
            self._alone_until = self._monotonic() + BROKER_PAUSE
            return
        if self._alone_until is not None:
            self._alone_until = None
            logger.info("Celery carries work again", extra={"mount": self._mount().name})

    def _is_broker_paused(self) -> bool:
        """Whether the broker did not answer before; now and then one caller finds out whether it does again."""
        now, until = self._monotonic(), self._alone_until
        if until is not None and now >= until:
            self._alone_until = now + BROKER_PAUSE
        return until is not None and now < until

    def _send_steps(self, keys: Sequence[tuple[str, ...]]) -> None:
        name = self._mount().name
        messages = [((name, batch), f"({name!r}, {len(batch)} steps)") for batch in split_batches(keys)]
        self._send(STEPS_TASK, messages)

    def _send_once(self, task: str) -> None:
        name = self._mount().name
        self._send(task, [((name,), f"({name!r},)")], expires=MESSAGE_EXPIRY)

    def _send(self, task: str, messages: Sequence[tuple[tuple[Any, ...], str]], **options: Any) -> None:
        """Send a task once for each of `messages`: its arguments, and what the log says of them."""
        celery = get_celery_app(self._mount())
        with self._pool(celery).acquire(block=True, timeout=BROKER_TIMEOUT) as producer:
            sending: dict[str, Any] = {"producer": producer, "retry": True, "retry_policy": _RETRY_ONCE, **options}
            for arguments, shown in messages:
                sending["argsrepr"] = shown
                celery.tasks[task].apply_async(arguments, **sending)

    def _pool(self, celery: Celery) -> ProducerPool:
        """This process's connections. A parent's are kept: closing a copy would close the parent's too."""
        process = os.getpid()
        if process not in self._pools:
            pool = ProducerPool(make_broker_connection(celery).Pool(_MAX_CONNECTIONS), limit=_MAX_CONNECTIONS)
            self._pools.setdefault(process, pool)
        return self._pools[process]


def get_celery_app(mount: Mount) -> Celery:
    """The host's Celery app. Raises `ConfigurationError` where there is none."""
    with mount.in_host():
        found = current_app.extensions.get("celery")
    if not isinstance(found, Celery):
        raise ConfigurationError("keep your Celery app in app.extensions['celery'], as Flask's documentation does")
    return found


def make_broker_connection(celery: Celery) -> Connection:
    """A connection to the host's broker that is not waited for, opened at first use."""
    return celery.connection_for_write(
        connect_timeout=BROKER_TIMEOUT, transport_options={**_TIMEOUT_OPTIONS, **_RETRY_ONCE}
    )


def split_batches(keys: Sequence[tuple[str, ...]]) -> Iterator[list[tuple[str, ...]]]:
    """`keys`, a few at a time."""
    for start in range(0, len(keys), STEPS_PER_MESSAGE):
        yield list(keys[start : start + STEPS_PER_MESSAGE])
