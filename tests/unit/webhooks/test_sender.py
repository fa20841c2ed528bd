"""Requests and responses of a sender, and the addresses that it never connects to."""

from __future__ import annotations

import contextlib
import gzip
import socket
import subprocess
import sys
import time
from ipaddress import ip_network
from typing import Any

import pytest

from flask_tenant_provisioning.webhooks.client.sender import ReceiverResponse, Sender
from flask_tenant_provisioning.webhooks.client.ssrf import SsrfGuard
from tests.support.webhooks.receivers import (
    OK,
    AnswerSequence,
    Behaviour,
    CertificateAuthority,
    Receiver,
    answer_once,
    answer_slowly,
    answer_then_reset,
    answer_without_end,
    open_unreachable_port,
    read_request,
    stay_silent,
)
from tests.support.webhooks.resolver import FakeResolver, resolve_example_to
from tests.support.webhooks.senders import BODY, Clock, MakeSender, send_and_fail, send_webhook

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")

BROKEN = "The connection broke before the response was complete."
CLOSED = "The receiver closed the connection without a response."
NOWHERE = "The host name example.com does not lead to an address that webhooks may be sent to."
NO_HTTP = "The response is not valid HTTP/1.1, is incomplete, or its headers are too large."
#: Of what is to take too long; nothing else waits for it.
SHORT = 0.1


# What goes out


def test_the_request_is_this_and_nothing_more(sender: Sender) -> None:
    behave = AnswerSequence(OK)
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver, path="/hook?a=1")
    assert behave.requests == [
        (
            f"POST /hook?a=1 HTTP/1.1\r\nHost: example.com:{receiver.port}\r\nContent-Type: application/json\r\n"
            'webhook-id: msg_1\r\nContent-Length: 25\r\n\r\n{"type":"tenant.created"}'
        ).encode()
    ]


def test_body_is_sent_unchanged(sender: Sender) -> None:
    behave, body = AnswerSequence(OK), bytes(range(256)) * 80
    with Receiver(behave) as receiver:
        sender.post(receiver.url(), {}, body)
    assert behave.requests[0].partition(b"\r\n\r\n")[2] == body


def test_non_ascii_host_is_sent_in_punycode(make_sender: MakeSender) -> None:
    behave, resolve = AnswerSequence(OK), FakeResolver(**{"xn--bcher-kva_example": ["127.0.0.1"]})
    with Receiver(behave) as receiver:
        send_webhook(make_sender(resolve), receiver, host="bücher.example")
    assert f"Host: xn--bcher-kva.example:{receiver.port}\r\n".encode() in behave.requests[0]


def test_ipv6_is_spoken(make_sender: MakeSender) -> None:
    behave = AnswerSequence(OK)
    with Receiver(behave, host="::1") as receiver:
        assert send_webhook(make_sender(), receiver, host="[::1]").status == 200
    assert f"Host: [::1]:{receiver.port}\r\n".encode() in behave.requests[0]


@pytest.mark.parametrize(
    "headers", [{"a": "b\r\nc: d"}, {"a": "b\n"}, {"a": "\0"}, {"a\r\nb": "c"}, {"a b": "c"}, {"": "c"}, {"a": "–"}]
)
def test_a_header_that_is_none_is_not_sent(sender: Sender, headers: dict[str, str]) -> None:
    with Receiver() as receiver, pytest.raises(ValueError, match="characters that HTTP does not allow"):
        sender.post(receiver.url(), headers, BODY)
    assert receiver.connections == 0


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_a_proxy_of_the_environment_is_not_used(sender: Sender, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    with Receiver() as receiver, Receiver() as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        send_webhook(sender, receiver)
    assert (receiver.connections, proxy.connections) == (1, 0)


# What comes back


def test_response_is_returned(make_sender: MakeSender) -> None:
    clock = Clock()

    def behave(sock: socket.socket, _number: int) -> None:
        read_request(sock)
        clock.now += 1.25
        sock.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 5\r\n\r\nsorry")

    with Receiver(behave) as receiver:
        assert send_webhook(make_sender(monotonic=clock), receiver) == ReceiverResponse(
            503, "120", "sorry", 1.25, is_internal=True
        )


def test_the_time_of_the_look_up_counts(make_sender: MakeSender) -> None:
    clock = Clock()

    def resolve(host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        clock.now += 3.5
        return resolve_example_to("127.0.0.1")(host, port, type=type)

    with Receiver() as receiver:
        assert send_webhook(make_sender(resolve, monotonic=clock), receiver).latency == 3.5


def test_a_look_up_that_took_all_the_time_is_a_timeout(make_sender: MakeSender) -> None:
    clock = Clock()

    def resolve(host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        clock.now += 15
        return resolve_example_to("127.0.0.1")(host, port, type=type)

    with Receiver() as receiver:
        error = send_and_fail(make_sender(resolve, monotonic=clock), receiver.url())
    assert (error, receiver.connections) == (("timeout", "There was no complete response within 15 seconds."), 0)


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nold", "old"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n1;x=y\r\n!\r\n0\r\nA: b\r\n\r\n", "ok!"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n\xff\0\xc3", "\ufffd\ufffd\ufffd"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + b"x" * 9999, "x" * 8192),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 99999, "x" * 8192),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + b"x" * 65535, "x" * 8192),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more", "ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "ok"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + OK, "ok"),
    ],
)
def test_the_content_is_read_as_text_up_to_8_kib(sender: Sender, response: bytes, text: str) -> None:
    with Receiver(answer_once(response)) as receiver:
        assert send_webhook(sender, receiver).text == text


def test_nothing_is_decompressed(sender: Sender) -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
    with Receiver(answer_once(head.encode() + bomb)) as receiver:
        assert send_webhook(sender, receiver).text == bomb.decode("utf-8", "replace").replace("\0", "\ufffd")


@pytest.mark.parametrize("status", [200, 201, 299, 301, 302, 304, 307, 308, 400, 404, 410, 429, 500, 599])
def test_any_status_is_an_answer(sender: Sender, status: int) -> None:
    with Receiver(answer_once(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)) as receiver:
        assert send_webhook(sender, receiver).status == status


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (b"", CLOSED),
        (b"SSH-2.0-OpenSSH_9.2\r\n", NO_HTTP),
        (b"HTTP/2 200\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 two hundred\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 99 Low\r\n\r\n", NO_HTTP),
        (b"\r\n\r\n", NO_HTTP),
        (b"ok", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nok", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nok", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nok", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 101 + b"\r\n", NO_HTTP),
    ],
)
def test_incomplete_response_fails(sender: Sender, response: bytes, why: str) -> None:
    with Receiver(answer_once(response)) as receiver:
        error = send_and_fail(sender, receiver.url())
    assert (error, receiver.connections) == (("protocol", why), 1)


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 ", b"K" * 1000),
        (b"HTTP/1.1 200 OK\r\nA: ", b"b" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"A: " + b"b" * 1000 + b"\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 1000 + b"\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0" * 1000),
    ],
)
def test_a_head_without_end_is_not_read_to_it(sender: Sender, head: bytes, drop: bytes) -> None:
    with Receiver(answer_without_end(head, drop)) as receiver:
        assert send_and_fail(sender, receiver.url()) == ("protocol", NO_HTTP)


def test_a_body_without_end_is_left_after_8_kib(sender: Sender) -> None:
    with Receiver(answer_without_end(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000)) as receiver:
        assert len(send_webhook(sender, receiver).text) == 8192


def test_a_connection_that_breaks_in_the_answer_fails(sender: Sender) -> None:
    with Receiver(answer_then_reset(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")) as receiver:
        assert send_and_fail(sender, receiver.url()) == ("protocol", BROKEN)


# Its time


@pytest.mark.parametrize(
    "behave",
    [
        stay_silent,
        answer_slowly(b"", b"H"),
        answer_slowly(b"HTTP/1.1 200 OK\r\n", b"A"),
        answer_slowly(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", b"x"),
        answer_slowly(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
        answer_slowly(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        answer_slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silent", "status", "head", "length", "endless", "chunked", "continue"],
)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
def test_send_ends_at_the_deadline(
    make_sender: MakeSender, authority: CertificateAuthority, behave: Behaviour, secure: bool
) -> None:
    sender, tls = (
        make_sender(timeout=SHORT, tls=authority.make_client_context()),
        authority.make_server_context("example.com"),
    )
    with Receiver(behave, tls=tls if secure else None) as receiver:
        began = time.monotonic()
        error = send_and_fail(sender, receiver.url())
        took = time.monotonic() - began
    assert error == ("timeout", "There was no complete response within 0.1 seconds.")
    assert SHORT <= took < 100 * SHORT, "the receiver never ends"


def test_a_receiver_that_does_not_read_is_left_at_the_deadline(make_sender: MakeSender) -> None:
    def behave(sock: socket.socket, _number: int) -> None:
        while sock.recv(10) and sock.fileno() >= 0:
            time.sleep(0.005)

    with Receiver(behave) as receiver:
        error = send_and_fail(make_sender(timeout=SHORT), receiver.url(), b"x" * 50_000_000)
    assert error == ("timeout", "There was no complete response within 0.1 seconds.")


def test_a_handshake_that_is_not_answered_is_left_at_the_deadline(make_sender: MakeSender) -> None:
    with Receiver(stay_silent) as receiver:
        error = send_and_fail(make_sender(timeout=SHORT), f"https://example.com:{receiver.port}/")
    assert error == ("timeout", "There was no complete response within 0.1 seconds.")


def test_a_handshake_that_trickles_is_left_at_the_deadline(make_sender: MakeSender) -> None:
    with Receiver(answer_slowly(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\0")) as receiver:
        error = send_and_fail(make_sender(timeout=SHORT), f"https://example.com:{receiver.port}/")
    assert error == ("timeout", "There was no complete response within 0.1 seconds.")


def test_connect_timeout_ends_an_unaccepted_connection(make_sender: MakeSender) -> None:
    with open_unreachable_port() as port:
        error = send_and_fail(make_sender(connect_timeout=SHORT), f"http://127.0.0.1:{port}/")
    assert error == ("timeout", "No connection could be made in time.")


# Where it does not go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f.1", "017700000001", "127.9.8.7", "①②⑦.⓪.⓪.①",
        "127。0。0。1", "１２７.0.0.1", "127.0.0.1.", "localhost", "localhost.", "LOCALHOST", "lo\u00adcalhost",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "[::1%25lo]", "[::1%lo]", "user@127.0.0.1", "example.com@127.0.0.1",
        "example.com\\@127.0.0.1", "127.0.0.1%00.example.com", "%31%32%37.0.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_this_machine_is_connected_to(make_sender: MakeSender, host: str) -> None:
    sender = make_sender(socket.getaddrinfo, networks=[])
    with Receiver(host="::") as receiver:
        kind, _ = send_and_fail(sender, receiver.url(host))
    assert (kind, receiver.connections) == ("refused", 0)


def test_refused_receiver_is_otherwise_reachable(make_sender: MakeSender) -> None:
    with Receiver(host="::") as receiver:
        assert send_webhook(make_sender(socket.getaddrinfo), receiver, host="localhost").status == 200


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.215.14", "127.0.0.1"), ("127.0.0.1", "93.184.215.14")])
def test_a_name_with_an_address_inside_is_not_connected_to(make_sender: MakeSender, addresses: tuple[str, ...]) -> None:
    with Receiver() as receiver:
        error = send_and_fail(make_sender(resolve_example_to(*addresses), networks=[]), receiver.url())
    assert (error, receiver.connections) == (("refused", NOWHERE), 0)


def test_host_that_resolves_to_a_private_address_later_is_refused(make_sender: MakeSender) -> None:
    resolve = resolve_example_to("93.184.215.14")
    guard, sender = SsrfGuard(["http"], [], [], resolve), make_sender(resolve, networks=[])
    with Receiver() as receiver:
        guard.check(receiver.url())
        resolve.addresses["example.com"] = ["127.0.0.1"]
        error = send_and_fail(sender, receiver.url())
    assert (error, receiver.connections) == (("refused", NOWHERE), 0)


def test_dns_rebinding_connects_to_the_checked_address(make_sender: MakeSender) -> None:
    """The resolver answers 127.0.0.2 to the first question, and 127.0.0.1 to each after it."""
    lookups: list[str] = []

    def rebind(host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        lookups.append(host)
        return resolve_example_to(f"127.0.0.{2 if len(lookups) == 1 else 1}")(host, port, type=type)

    sender = make_sender(rebind, networks=[ip_network("127.0.0.2/32")])
    with Receiver(host="127.0.0.2") as checked, Receiver(host="127.0.0.1", port=checked.port) as inside:
        assert send_webhook(sender, checked).status == 200
        assert (lookups, checked.connections, inside.connections) == (["example.com"], 1, 0)
        assert send_and_fail(sender, checked.url()) == ("refused", NOWHERE)
    assert (checked.connections, inside.connections) == (1, 0)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_inwards_is_not_followed(make_sender: MakeSender, status: int) -> None:
    with Receiver() as inside:
        head = f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{inside.port}/\r\nContent-Length: 0\r\n\r\n"
        with Receiver(answer_once(head.encode())) as receiver:
            assert send_webhook(make_sender(), receiver).status == status
    assert (receiver.connections, inside.connections) == (1, 0)


def test_a_name_without_address_fails_in_the_words_of_a_refused_one(make_sender: MakeSender) -> None:
    assert send_and_fail(make_sender(FakeResolver()), "https://example.com/") == ("dns", NOWHERE)


def test_a_scheme_or_port_that_is_no_longer_allowed_is_not_connected_to() -> None:
    with (
        Receiver() as receiver,
        contextlib.closing(Sender(SsrfGuard(resolve=resolve_example_to("127.0.0.1")))) as sender,
    ):
        assert send_and_fail(sender, receiver.url()) == ("refused", "The URL must begin with https://.")
        assert send_and_fail(sender, f"https://example.com:{receiver.port}/")[0] == "refused"
    assert receiver.connections == 0


def test_guard_and_sender_need_no_flask() -> None:
    script = "import sys, flask_tenant_provisioning.webhooks.client.sender; print('flask' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
