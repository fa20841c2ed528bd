"""Documents that a sender fetches: the request, and which responses are none."""

from __future__ import annotations

import socket

import pytest

from flask_tenant_provisioning.webhooks.client.sender import Sender, SendError
from tests.support.webhooks.receivers import AnswerSequence, Behaviour, Receiver, answer_once, answer_slowly
from tests.support.webhooks.resolver import resolve_example_to
from tests.support.webhooks.senders import MakeSender

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
LIMIT = 20_000


def make_response(content: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content


def fetch_and_fail(sender: Sender, url: str) -> tuple[str, str]:
    with pytest.raises(SendError) as caught:
        sender.fetch(url, {}, LIMIT)
    return caught.value.kind, caught.value.reason


def test_the_request_is_this_and_nothing_more(sender: Sender) -> None:
    behave = AnswerSequence(make_response(b"{}"))
    with Receiver(behave) as receiver:
        assert sender.fetch(receiver.url(path="/jwks?a=1"), {"Accept": "application/json"}, LIMIT) == b"{}"
    assert behave.requests == [
        f"GET /jwks?a=1 HTTP/1.1\r\nHost: example.com:{receiver.port}\r\nAccept: application/json\r\n\r\n".encode()
    ]


@pytest.mark.parametrize("size", [0, 9_999, 10_000, LIMIT])
@pytest.mark.parametrize("has_length", [True, False])
def test_the_whole_content_is_returned(sender: Sender, has_length: bool, size: int) -> None:
    response = make_response(b"x" * size) if has_length else b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * size
    with Receiver(answer_once(response)) as receiver:
        assert sender.fetch(receiver.url(), {}, LIMIT) == b"x" * size


@pytest.mark.parametrize("size", [LIMIT + 1, 10 * LIMIT])
def test_a_larger_content_is_refused(sender: Sender, size: int) -> None:
    with Receiver(answer_once(make_response(b"x" * size))) as receiver:
        assert fetch_and_fail(sender, receiver.url()) == ("protocol", "The response is larger than 20000 bytes.")


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "301 Moved", "304 Not Modified", "404 X", "500 X"])
def test_any_other_status_is_refused(sender: Sender, status: str) -> None:
    with Receiver(answer_once(make_response(b"", status))) as receiver:
        error = fetch_and_fail(sender, receiver.url())
    assert error == ("protocol", f"The response has the status {status[:3]} instead of 200.")


def test_a_redirect_inwards_is_not_followed(make_sender: MakeSender) -> None:
    with Receiver() as inside:
        head = f"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answer_once(head.encode())) as receiver:
            assert fetch_and_fail(make_sender(), receiver.url())[0] == "protocol"
    assert inside.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433"])
def test_no_address_inside_is_connected_to(make_sender: MakeSender, host: str) -> None:
    sender = make_sender(socket.getaddrinfo, networks=[])
    with Receiver(host="::") as receiver:
        kind, _ = fetch_and_fail(sender, receiver.url(host))
    assert (kind, receiver.connections) == ("refused", 0)


def test_a_name_with_an_address_inside_is_not_connected_to(make_sender: MakeSender) -> None:
    with Receiver() as receiver:
        error = fetch_and_fail(make_sender(resolve_example_to("127.0.0.1"), networks=[]), receiver.url())
    assert (error[0], receiver.connections) == ("refused", 0)


@pytest.mark.parametrize("behave", [answer_slowly(b"HTTP/1.1 200 OK\r\n", b"A"), answer_slowly(b"", b"H")])
def test_it_ends_at_the_deadline(make_sender: MakeSender, behave: Behaviour) -> None:
    with Receiver(behave) as receiver:
        assert fetch_and_fail(make_sender(timeout=0.1), receiver.url())[0] == "timeout"
