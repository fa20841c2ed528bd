"""The Celery engine: sends the keys of due work as messages through the host's own Celery app."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from celery import Celery
from flask import current_app
from kombu import Connection
from kombu.pools import ProducerPool

from ..config import ConfigurationError
from ..encoding import format_error
from ..mount import Mount
from ..steps.models import STEP_WORK
from .kinds import DELIVERIES_TASK, WORK_KINDS, DueCheck
from .tasks import STEPS_TASK

logger = logging.getLogger(__name__)
#: Seconds between two notifications; events in between share one.
NOTIFY_DELAY = 0.5
#: Seconds that an ending process waits for its last notification.
NOTIFY_STOP_TIMEOUT = 2.0


class Notifier:
    """Calls `notify` in a thread soon after `notify_events`, at most once per `delay` seconds.

    Each call covers all events before it. The thread starts with the first event, and does not exist in a fork.
    """

    def __init__(self, notify: Callable[[], None], delay: float = NOTIFY_DELAY) -> None:
        self._notify, self._delay = notify, delay
        self._changed = threading.Condition()
        self._is_pending = self._is_stopping = False
        self._thread: threading.Thread | None = None

    def notify_events(self) -> None:
        """Schedule a notification."""
        if self._is_pending:
            return
        with self._changed:
            self._is_pending = True
            if self._thread is None:
                self._start()
            self._changed.notify()

    def stop(self, grace: float = NOTIFY_STOP_TIMEOUT) -> None:
        """Send a pending notification at once and end the thread; wait at most `grace` seconds."""
        if self._thread is None or not self._thread.is_alive():
            return
        with self._changed:
            self._is_stopping = True
            self._changed.notify()
        self._thread.join(grace)
        atexit.unregister(self.stop)

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="flask_tenant_provisioning-notifier", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def _run(self) -> None:
        while self._wait_for_event():
            try:
                self._notify()
            except Exception as error:
                logger.warning(
                    "could not request webhook deliveries; the next sweep does so: %s",
                    error,
                    extra={"error": str(error)},
                )
            with self._changed:
                self._changed.wait_for(lambda: self._is_stopping, self._delay)

    def _wait_for_event(self) -> bool:
        """Wait for an event. Return False if the notifier stops and none is pending."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_pending or self._is_stopping)
            is_pending, self._is_pending = self._is_pending, False
            return is_pending


#: The maximum number of steps per message.
STEPS_PER_MESSAGE = 20
#: The broker timeout of each connect, read and write, in seconds.
BROKER_TIMEOUT = 2.0
#: Seconds without messages after the broker did not respond.
BROKER_PAUSE = 10.0
#: Seconds after which a message without step keys expires: workers that were away need only the newest one.
MESSAGE_EXPIRY = 60
_MAX_CONNECTIONS = 4
#: A dead connection is opened again once; an unavailable broker is not waited for.
_RETRY_ONCE = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
_TIMEOUT_OPTIONS = dict.fromkeys(
    ("socket_connect_timeout", "socket_timeout", "read_timeout", "write_timeout"), BROKER_TIMEOUT
)


class CeleryEngine:
    """Sends keys to the workers of the host's Celery app, ``app.extensions["celery"]``.

    A lost message loses no work, since the beat's sweep finds the rows. A broker that does not respond delays one
    request; no messages are sent for the next `BROKER_PAUSE` seconds. A thread, started by the first write, sends the
    messages for webhook deliveries.
    """

    def __init__(self, mount: Mount, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._mount = mount
        self._monotonic = monotonic
        self._paused_until: float | None = None
        self._pools: dict[int, ProducerPool] = {}
        self._notifiers: dict[int, Notifier] = {}

    def start(self) -> None:
        """Do nothing: Celery workers run the work."""

    def wake(self, keys: Sequence[tuple[str, ...]]) -> None:
        """Send the keys of steps in batches, and for each other kind of work one message without keys."""
        step_keys = [key for kind, *key in keys if kind == STEP_WORK]
        if step_keys:
            self._send_steps(step_keys)
        due_kinds = {kind for kind, *_ in keys}
        for kind in WORK_KINDS:
            if kind.name in due_kinds and kind.task is not None:
                self._send_once(kind.task)

    def notify_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Request webhook deliveries soon, with one message for all recent writes of this process."""
        process = os.getpid()
        if process not in self._notifiers:
            self._notifiers.setdefault(process, Notifier(self._send_for_webhooks))
        self._notifiers[process].notify_events()

    def stop(self, grace: float) -> None:
        """Send the pending notification of this process. Celery workers are stopped by Celery."""
        if notifier := self._notifiers.pop(os.getpid(), None):
            notifier.stop(grace)

    def _send_for_webhooks(self) -> None:
        """Send the delivery task if there is anything to deliver."""
        if DueCheck(self._mount.storage).has_webhook_work():
            self._send_once(DELIVERIES_TASK)

    def _send_steps(self, keys: Sequence[list[str]]) -> None:
        name = self._mount.name
        messages = [((name, batch), f"({name!r}, {len(batch)} steps)") for batch in split_batches(keys)]
        self._send_safely(STEPS_TASK, messages)

    def _send_once(self, task: str) -> None:
        name = self._mount.name
        self._send_safely(task, [((name,), f"({name!r},)")], expires=MESSAGE_EXPIRY)

    def _send_safely(self, task: str, messages: Sequence[tuple[tuple[Any, ...], str]], **options: Any) -> None:
        """Send messages as `_send` does, unless the broker is paused; pause it if that fails."""
        if self._is_broker_paused():
            return
        try:
            self._send(task, messages, **options)
        except Exception as error:
            if self._paused_until is None:
                reason = format_error(error)
                logger.warning(
                    "the Celery broker is unavailable; the next sweep sends the due work: %s",
                    reason,
                    extra={"error": reason},
                )
            self._paused_until = self._monotonic() + BROKER_PAUSE
            return
        if self._paused_until is not None:
            self._paused_until = None
            logger.info("the Celery broker is available again", extra={"mount": self._mount.name})

    def _is_broker_paused(self) -> bool:
        """Return whether the broker is paused; once per `BROKER_PAUSE`, let one caller try again."""
        now, until = self._monotonic(), self._paused_until
        if until is not None and now >= until:
            self._paused_until = now + BROKER_PAUSE
        return until is not None and now < until

    def _send(self, task: str, messages: Sequence[tuple[tuple[Any, ...], str]], **options: Any) -> None:
        """Send a task once for each of `messages`: its arguments, and their text for Celery's log."""
        celery = get_celery_app(self._mount)
        with self._get_pool(celery).acquire(block=True, timeout=BROKER_TIMEOUT) as producer:
            send_options: dict[str, Any] = {"producer": producer, "retry": True, "retry_policy": _RETRY_ONCE, **options}
            for arguments, text in messages:
                send_options["argsrepr"] = text
                celery.tasks[task].apply_async(arguments, **send_options)

    def _get_pool(self, celery: Celery) -> ProducerPool:
        """Return this process's connections. A fork does not close its parent's, which would break them there."""
        process = os.getpid()
        if process not in self._pools:
            pool = ProducerPool(make_broker_connection(celery).Pool(_MAX_CONNECTIONS), limit=_MAX_CONNECTIONS)
            self._pools.setdefault(process, pool)
        return self._pools[process]


def get_celery_app(mount: Mount) -> Celery:
    """Return the host's Celery app. Raises `ConfigurationError` if there is none."""
    with mount.in_host():
        celery = current_app.extensions.get("celery")
    if not isinstance(celery, Celery):
        raise ConfigurationError("keep your Celery app in app.extensions['celery'], as Flask's documentation does")
    return celery


def make_broker_connection(celery: Celery) -> Connection:
    """Make a connection to the host's broker with short timeouts, opened at first use."""
    return celery.connection_for_write(
        connect_timeout=BROKER_TIMEOUT, transport_options={**_TIMEOUT_OPTIONS, **_RETRY_ONCE}
    )


def split_batches(keys: Sequence[list[str]]) -> Iterator[list[list[str]]]:
    """Yield `keys` in lists of at most `STEPS_PER_MESSAGE`."""
    for start in range(0, len(keys), STEPS_PER_MESSAGE):
        yield list(keys[start : start + STEPS_PER_MESSAGE])
