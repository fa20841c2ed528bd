"""Answers that are read in one go: the same as `http.client` finds, and whatever is not plain is left to it."""

from __future__ import annotations

import http.client
import io
import socket
from typing import cast

import pytest

from flask_tenant_provisioning.webhooks.client.connections import SimpleResponse, parse_simple_response


class Bytes:
    """A stand-in for the socket that `http.client` reads from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def as_the_library_reads(data: bytes) -> SimpleResponse:
    response = http.client.HTTPResponse(cast(socket.socket, Bytes(data)), method="POST")
    response.begin()
    assert not response.will_close
    return SimpleResponse(response.status, response.headers.get("Retry-After"), response.read())


PLAIN = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 \r\ncontent-length:2\r\n\r\nok",
    b"HTTP/1.1 200\r\nCONTENT-LENGTH: \t2 \t\r\n\r\nok",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 503\r\nRetry-After:  28 Nov 2026 00:00:00 GMT\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 500 \xdcbel\r\nX-Name: M\xfcller\r\nX-Empty:\r\nContent-Length: 0004\r\n\r\n\xff\x00\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\r\n\r\n",
]
DOUBTFUL = [
    b"",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokay",
    b"HTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\nmore",
    b"HTTP/1.1 304 Not Modified\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 103 Early Hints\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 999 Never\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
]


@pytest.mark.parametrize("data", PLAIN, ids=range(len(PLAIN)))
def test_a_plain_answer_is_read_as_the_library_reads_it(data: bytes) -> None:
    assert parse_simple_response(data) == as_the_library_reads(data)


@pytest.mark.parametrize("data", DOUBTFUL, ids=range(len(DOUBTFUL)))
def test_unusual_responses_are_left_to_http_client(data: bytes) -> None:
    assert parse_simple_response(data) is None


@pytest.mark.parametrize("length", range(len(PLAIN[6])))
def test_half_an_answer_is_no_answer(length: int) -> None:
    assert parse_simple_response(PLAIN[6][:length]) is None
