"""Senders of webhooks that may send to this machine, where example.com is too, and a clock for them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from ipaddress import ip_network
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks.client.sender import ReceiverResponse, Sender, SendError
from flask_tenant_provisioning.webhooks.client.ssrf import SsrfGuard
from tests.support.webhooks.receivers import CertificateAuthority, Receiver
from tests.support.webhooks.resolver import resolve_example_to

HEADERS = {"Content-Type": "application/json", "webhook-id": "msg_1"}
BODY = b'{"type":"tenant.created"}'
LOOPBACK = [ip_network("127.0.0.0/8"), ip_network("::1/128")]

MakeSender = Callable[..., Sender]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def make_sender() -> Iterator[MakeSender]:
    """Makes senders."""
    with contextlib.ExitStack() as stack:

        def build(resolve: Any = None, networks: Any = LOOPBACK, **settings: Any) -> Sender:
            guard = SsrfGuard(("https", "http"), (), networks, resolve or resolve_example_to("127.0.0.1"))
            return stack.enter_context(contextlib.closing(Sender(guard, **settings)))

        yield build


@pytest.fixture
def sender(make_sender: MakeSender) -> Sender:
    """One such sender."""
    return make_sender()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """The authority that signs the receivers' certificates."""
    return CertificateAuthority(tmp_path_factory.mktemp("certificates"))


def send_webhook(sender: Sender, receiver: Receiver, **where: str) -> ReceiverResponse:
    """Send a webhook to `receiver`."""
    return sender.post(receiver.url(**where), HEADERS, BODY)


def send_and_fail(sender: Sender, url: str, body: bytes = BODY) -> tuple[str, str]:
    """Return the error of a send."""
    with pytest.raises(SendError) as caught:
        sender.post(url, HEADERS, body)
    assert str(caught.value) == caught.value.reason
    return caught.value.kind, caught.value.reason
