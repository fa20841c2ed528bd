"""The brokers that the Celery tests use: Redis and RabbitMQ, where they answer."""

from __future__ import annotations

import contextlib
import functools
import os
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import redis
from celery import Celery
from kombu import Connection, Queue

KINDS = ("redis", "rabbitmq")
#: Where each is looked for, unless the environment names another.
PLACES = {"redis": "redis://127.0.0.1:6379/0", "rabbitmq": "amqp://guest:guest@127.0.0.1:5672//"}
VARIABLES = {name: f"PROVISIONING_TEST_{name.upper()}_URL" for name in PLACES}


class Broker(NamedTuple):
    """One run's part of a broker, under unique names, so that runs do not meet."""

    kind: str
    url: str
    name: str

    def names(self) -> dict[str, str]:
        """The settings that name what this part consists of."""
        return dict.fromkeys(("task_default_queue", "control_exchange", "event_queue_prefix"), self.name)

    def settings(self) -> dict[str, Any]:
        """The configuration of a Celery app to use it, as the guide has it, with quick redelivery on Redis."""
        settings: dict[str, Any] = {"broker_url": self.url, "worker_prefetch_multiplier": 1, **self.names()}
        if self.kind == "rabbitmq":
            return {**settings, "task_default_queue_type": "quorum"}
        quick = {"visibility_timeout": 8, "unacked_restore_interval": 2, "unacked_restore_throttle": 1}
        options = {"global_keyprefix": f"{self.name}:", "polling_interval": 0.1, **quick}
        return {**settings, "broker_transport_options": options}


@functools.cache
def find_fault(kind: str) -> str | None:
    """Why the broker of this kind is of no use; None where it answers."""
    url = os.environ.get(VARIABLES[kind]) or PLACES[kind]
    try:
        with Connection(url, connect_timeout=2, transport_options={"socket_connect_timeout": 2}) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0)
    except Exception as error:
        return str(error).splitlines()[0]
    return None


@contextlib.contextmanager
def open_broker(kind: str) -> Iterator[Broker]:
    """A new part of the broker; what is left in it is removed at the end. Skips the test where there is no broker."""
    if reason := find_fault(kind):
        pytest.skip(f"{kind}: not found ({reason})")
    url = os.environ.get(VARIABLES[kind]) or PLACES[kind]
    broker = Broker(kind, url, f"provisioning-test-{uuid.uuid4().hex[:12]}")
    try:
        yield broker
    finally:
        remove(broker)


def take_messages(broker: Broker, at_least: int = 0) -> list[Any]:
    """Take every message that waits: its headers, and its body; those that are expected are given time to arrive."""
    messages: list[Any] = []
    with _connect(broker) as connection, contextlib.suppress(*connection.channel_errors):
        queue, end = _queue(broker)(connection.default_channel), time.monotonic() + 10
        while (message := queue.get()) or (len(messages) < at_least and time.monotonic() < end):
            if message:
                message.ack()
                messages.append((message.headers, message.payload))
    return messages


def discard_messages(broker: Broker) -> int:
    """Lose every message that waits; returns how many there were."""
    with _connect(broker) as connection:
        return int(_queue(broker)(connection.default_channel).purge() or 0)


def remove(broker: Broker) -> None:
    """Remove the queue, and whatever else bears the part's name."""
    if broker.kind == "redis":
        with redis.Redis.from_url(broker.url) as client:
            for key in client.scan_iter(f"{broker.name}*"):
                client.delete(key)
        return
    with _connect(broker) as connection:
        channel: Any = connection.default_channel
        channel.queue_delete(broker.name)
        for exchange in (broker.name, f"{broker.name}.pidbox", f"reply.{broker.name}.pidbox"):
            channel.exchange_delete(exchange)


@contextlib.contextmanager
def _connect(broker: Broker) -> Iterator[Connection]:
    celery = Celery(set_as_current=False)
    celery.conf.update(broker.settings())
    with celery.connection_for_write() as connection:
        yield connection


def _queue(broker: Broker) -> Queue:
    arguments = {"x-queue-type": "quorum"} if broker.kind == "rabbitmq" else None
    return Queue(broker.name, exchange="", routing_key=broker.name, queue_arguments=arguments)
