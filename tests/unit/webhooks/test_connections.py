"""Connections of a sender: their addresses, the proof of the receiver, and their reuse."""

from __future__ import annotations

import os
import socket
import ssl

import pytest

from flask_tenant_provisioning.webhooks.client.sender import MAX_IDLE_SECONDS, Sender, SendError
from tests.support.servers import run_concurrently
from tests.support.waiting import wait_for
from tests.support.webhooks.receivers import (
    OK,
    AnswerSequence,
    Behaviour,
    CertificateAuthority,
    Receiver,
    answer_always,
    answer_once,
    answer_then_reset,
    open_unreachable_port,
    read_request,
    stay_silent,
)
from tests.support.webhooks.resolver import FakeResolver, resolve_example_to
from tests.support.webhooks.senders import HEADERS, Clock, MakeSender, send_and_fail, send_webhook

pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")

BROKEN = "The connection broke before the response was complete."
CLOSED = "The receiver closed the connection without a response."
REFUSED = "No connection could be made: Connection refused."
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"


# The addresses of a name


def test_the_addresses_are_tried_in_order(make_sender: MakeSender) -> None:
    sender = make_sender(resolve_example_to("127.0.0.3", "127.0.0.1", "127.0.0.2"))
    with Receiver() as receiver, Receiver(host="127.0.0.2", port=receiver.port) as last:
        assert send_webhook(sender, receiver).status == 200
    assert (receiver.connections, last.connections) == (1, 0)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(make_sender: MakeSender) -> None:
    with open_unreachable_port() as port, Receiver(host="127.0.0.2", port=port) as receiver:
        sender = make_sender(resolve_example_to("127.0.0.1", "127.0.0.2"), connect_timeout=0.2)
        assert send_webhook(sender, receiver).status == 200


def test_name_with_only_refusing_addresses_fails(make_sender: MakeSender) -> None:
    with Receiver() as receiver:
        sender = make_sender(resolve_example_to("127.0.0.2", "127.0.0.3"))
        assert send_and_fail(sender, receiver.url()) == ("connect", REFUSED)


# TLS


def test_certificate_for_the_name_is_accepted_with_sni(
    make_sender: MakeSender, authority: CertificateAuthority
) -> None:
    seen: list[str | None] = []
    with Receiver(tls=authority.make_server_context("example.com", seen=seen)) as receiver:
        assert send_webhook(make_sender(tls=authority.make_client_context()), receiver).text == "ok"
    assert seen == ["example.com"]


def test_international_name_is_sent_as_ascii(make_sender: MakeSender, authority: CertificateAuthority) -> None:
    seen: list[str | None] = []
    sender = make_sender(FakeResolver(**{"xn--bcher-kva_example": ["127.0.0.1"]}), tls=authority.make_client_context())
    with Receiver(tls=authority.make_server_context("xn--bcher-kva.example", seen=seen)) as receiver:
        assert send_webhook(sender, receiver, host="bücher.example").status == 200
    assert seen == ["xn--bcher-kva.example"]


def test_a_certificate_for_an_address_is_for_its_literal(
    make_sender: MakeSender, authority: CertificateAuthority
) -> None:
    sender = make_sender(tls=authority.make_client_context())
    with Receiver(tls=authority.make_server_context("127.0.0.1")) as receiver:
        assert send_webhook(sender, receiver, host="127.0.0.1").status == 200
        kind, why = send_and_fail(sender, receiver.url())
    assert (kind, "Hostname mismatch" in why) == ("tls", True)


@pytest.mark.parametrize("names", [("other.example",), ("www.example.com",), ("*.example.com",), ("127.0.0.1",)])
def test_a_certificate_for_another_name_is_refused(
    make_sender: MakeSender, authority: CertificateAuthority, names: tuple[str, ...]
) -> None:
    behave = AnswerSequence(OK)
    with Receiver(behave, tls=authority.make_server_context(*names)) as receiver:
        error = send_and_fail(make_sender(tls=authority.make_client_context()), receiver.url())
    why = "Hostname mismatch, certificate is not valid for 'example.com'"
    assert (error, behave.requests) == (("tls", f"The certificate is not valid: {why}."), [])


def test_a_certificate_that_has_expired_is_refused(make_sender: MakeSender, authority: CertificateAuthority) -> None:
    with Receiver(tls=authority.make_server_context("example.com", days=-1)) as receiver:
        error = send_and_fail(make_sender(tls=authority.make_client_context()), receiver.url())
    assert error == ("tls", "The certificate is not valid: certificate has expired.")


def test_untrusted_authority_is_refused(make_sender: MakeSender, authority: CertificateAuthority) -> None:
    behave = AnswerSequence(OK)
    with Receiver(behave, tls=authority.make_server_context("example.com")) as receiver:
        kind, why = send_and_fail(make_sender(), receiver.url())
    assert (kind, why.startswith("The certificate is not valid: "), behave.requests) == ("tls", True, [])


def test_a_receiver_without_tls_fails(make_sender: MakeSender) -> None:
    def behave(sock: socket.socket, _number: int) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Receiver(behave) as receiver:
        kind, why = send_and_fail(make_sender(), f"https://example.com:{receiver.port}/")
    assert (kind, why.startswith("TLS failed: ")) == ("tls", True)


def test_a_receiver_that_closes_during_the_handshake_fails(make_sender: MakeSender) -> None:
    def behave(sock: socket.socket, _number: int) -> None:
        sock.recv(1)

    with Receiver(behave) as receiver:
        error = send_and_fail(make_sender(), f"https://example.com:{receiver.port}/")
    assert error == ("tls", "The receiver closed the connection during the TLS handshake.")


# Connections that are kept


@pytest.fixture(params=["http", "https"])
def tls(request: pytest.FixtureRequest, authority: CertificateAuthority) -> ssl.SSLContext | None:
    return authority.make_server_context("example.com", "other.example") if request.param == "https" else None


def test_connection_is_reused(
    make_sender: MakeSender, authority: CertificateAuthority, tls: ssl.SSLContext | None
) -> None:
    sender = make_sender(tls=authority.make_client_context())
    with Receiver(tls=tls) as receiver:
        assert [send_webhook(sender, receiver).text for _ in range(5)] == ["ok"] * 5
    assert receiver.connections == 1


@pytest.mark.parametrize(
    ("response", "connections"),
    [
        (OK, 1),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 1),
        (b"HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8192\r\n\r\n" + b"x" * 8192, 1),
        (CLOSING, 3),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 8193\r\n\r\n" + b"x" * 8193, 3),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3000\r\n" + b"x" * 12288 + b"\r\n0\r\n\r\n", 3),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 3),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 1),
    ],
)
def test_a_connection_serves_again_only_after_a_whole_answer(
    make_sender: MakeSender, response: bytes, connections: int
) -> None:
    sender = make_sender()
    with Receiver(answer_always(response)) as receiver:
        for _ in range(3):
            send_webhook(sender, receiver)
    assert receiver.connections == connections


def test_connection_is_not_reused_for_another_name(
    make_sender: MakeSender, authority: CertificateAuthority, tls: ssl.SSLContext | None
) -> None:
    sender = make_sender(
        FakeResolver(example_com=["127.0.0.1"], other_example=["127.0.0.1"]), tls=authority.make_client_context()
    )
    with Receiver(tls=tls) as receiver:
        send_webhook(sender, receiver)
        send_webhook(sender, receiver, host="other.example")
    assert receiver.connections == 2


def test_a_connection_to_an_address_that_the_name_has_lost_serves_no_more(make_sender: MakeSender) -> None:
    resolve = resolve_example_to("127.0.0.1")
    sender = make_sender(resolve)
    with Receiver() as before, Receiver(host="127.0.0.2", port=before.port) as after:
        send_webhook(sender, before)
        resolve.addresses["example.com"] = ["127.0.0.2"]
        send_webhook(sender, before)
    assert (before.connections, after.connections) == (1, 1)


def test_a_connection_to_a_later_address_of_the_name_serves_again(make_sender: MakeSender) -> None:
    resolve = resolve_example_to("127.0.0.1")
    sender = make_sender(resolve)
    with Receiver() as receiver:
        send_webhook(sender, receiver)
        resolve.addresses["example.com"] = ["127.0.0.2", "127.0.0.1"]
        send_webhook(sender, receiver)
    assert receiver.connections == 1


def test_a_name_that_leads_inside_now_is_refused_on_a_kept_connection_too(make_sender: MakeSender) -> None:
    resolve = resolve_example_to("127.0.0.1")
    sender, behave = make_sender(resolve), AnswerSequence(OK, OK)
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        resolve.addresses["example.com"] = ["127.0.0.1", "10.0.0.1"]
        assert send_and_fail(sender, receiver.url())[0] == "refused"
    assert len(behave.requests) == 1


def test_a_connection_that_was_idle_for_long_serves_no_more(make_sender: MakeSender) -> None:
    clock = Clock()
    sender = make_sender(monotonic=clock)
    with Receiver() as receiver:
        send_webhook(sender, receiver)
        clock.now += MAX_IDLE_SECONDS
        send_webhook(sender, receiver)
        assert receiver.connections == 1
        clock.now += MAX_IDLE_SECONDS + 1
        send_webhook(sender, receiver)
    assert receiver.connections == 2


def test_no_more_connections_are_kept_than_the_limit(make_sender: MakeSender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flask_tenant_provisioning.webhooks.client.sender.MAX_IDLE_CONNECTIONS", 2)
    sender = make_sender()
    with Receiver() as first, Receiver() as second, Receiver() as third:
        for receiver in (first, second, third, second, third, first):
            send_webhook(sender, receiver)
    assert (first.connections, second.connections, third.connections) == (2, 1, 1)


def test_a_connection_that_the_receiver_has_closed_is_replaced(
    make_sender: MakeSender, authority: CertificateAuthority, tls: ssl.SSLContext | None
) -> None:
    sender = make_sender(tls=authority.make_client_context())
    with Receiver(answer_once(OK), tls=tls) as receiver:
        assert [send_webhook(sender, receiver).status for _ in range(5)] == [200] * 5
    assert receiver.connections == 5


@pytest.mark.parametrize("unasked", [b"!", OK, b"HTTP/1.1 500 Sorry\r\nContent-Length: 0\r\n\r\n"])
def test_unsolicited_response_is_ignored(make_sender: MakeSender, unasked: bytes) -> None:
    statuses: list[int] = []

    def behave(sock: socket.socket, number: int) -> None:
        read_request(sock)
        sock.sendall(OK)
        if number == 0:
            sock.sendall(unasked)
            statuses.append(number)
        answer_always(OK)(sock, number)

    sender = make_sender()
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        assert wait_for(lambda: statuses == [0])
        assert send_webhook(sender, receiver).status == 200


def close_on(number: int, response: bytes = b"") -> tuple[list[bytes], Behaviour]:
    """Answer before the request of this `number`; it and all later ones get `response` and a closed connection."""
    requests: list[bytes] = []

    def behave(sock: socket.socket, _number: int) -> None:
        while request := read_request(sock):
            requests.append(request)
            sock.sendall(response if len(requests) >= number else OK)
            if len(requests) >= number:
                return

    return requests, behave


def test_a_request_on_a_kept_connection_without_an_answer_is_sent_again_once(make_sender: MakeSender) -> None:
    requests, behave = close_on(2)
    sender = make_sender()
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        assert send_and_fail(sender, receiver.url()) == ("protocol", CLOSED)
    assert (len(requests), len(set(requests)), receiver.connections) == (3, 1, 2)


def test_a_request_on_a_new_connection_without_an_answer_is_not_sent_again(make_sender: MakeSender) -> None:
    requests, behave = close_on(1)
    with Receiver(behave) as receiver:
        assert send_and_fail(make_sender(), receiver.url()) == ("protocol", CLOSED)
    assert (len(requests), receiver.connections) == (1, 1)


def test_request_with_a_started_response_is_not_repeated(make_sender: MakeSender) -> None:
    requests, behave = close_on(2, b"HTTP/1.1 2")
    sender = make_sender()
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        assert send_and_fail(sender, receiver.url())[0] == "protocol"
    assert (len(requests), receiver.connections) == (2, 1)


def test_request_with_an_interrupted_response_is_not_repeated(make_sender: MakeSender) -> None:
    def reset_connection(sock: socket.socket, number: int) -> None:
        AnswerSequence(OK)(sock, number)
        answer_then_reset(b"HTTP/1.1 2")(sock, number)

    sender = make_sender()
    with Receiver(reset_connection) as receiver:
        send_webhook(sender, receiver)
        assert send_and_fail(sender, receiver.url()) == ("protocol", BROKEN)
    assert receiver.connections == 1


def test_a_request_that_took_too_long_is_not_sent_again(make_sender: MakeSender) -> None:
    def behave(sock: socket.socket, number: int) -> None:
        answer_once(OK)(sock, number)
        stay_silent(sock, number)

    sender = make_sender(timeout=1)
    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        assert send_and_fail(sender, receiver.url())[0] == "timeout"
    assert receiver.connections == 1


def test_many_threads_share_a_sender(
    make_sender: MakeSender, authority: CertificateAuthority, tls: ssl.SSLContext | None
) -> None:
    sender = make_sender(tls=authority.make_client_context())

    def behave(sock: socket.socket, _number: int) -> None:
        while request := read_request(sock):
            body = request.partition(b"\r\n\r\n")[2]
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    def work(number: int) -> list[str]:
        return [sender.post(receiver.url(), HEADERS, b"%d.%d" % (number, n)).text for n in range(20)]

    with Receiver(behave, tls=tls) as receiver:
        results = run_concurrently(8, work)
    assert results == [[f"{number}.{n}" for n in range(20)] for number in range(8)]
    assert receiver.connections <= 8


def test_a_sender_that_is_closed_keeps_nothing(make_sender: MakeSender) -> None:
    sender = make_sender()
    ended: list[int] = []

    def behave(sock: socket.socket, number: int) -> None:
        answer_always(OK)(sock, number)
        ended.append(number)

    with Receiver(behave) as receiver:
        send_webhook(sender, receiver)
        sender.close()
        assert wait_for(lambda: ended == [0])
        send_webhook(sender, receiver)
        assert wait_for(lambda: ended == [0, 1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_leaves_its_parent_s_connections_alone(
    make_sender: MakeSender, authority: CertificateAuthority, tls: ssl.SSLContext | None
) -> None:
    sender = make_sender(tls=authority.make_client_context())
    with Receiver(tls=tls) as receiver:
        send_webhook(sender, receiver)
        if (child := os.fork()) == 0:
            os._exit(post_twice(sender, receiver))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert receiver.connections == 2
        send_webhook(sender, receiver)
    assert receiver.connections == 2


def post_twice(sender: Sender, receiver: Receiver) -> int:
    """Send twice in a child; returns its exit code."""
    try:
        return int([send_webhook(sender, receiver).status for _ in range(2)] != [200, 200])
    except SendError:
        return 2
