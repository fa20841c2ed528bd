"""Send requests to partners' servers, only to addresses that the SSRF guard allows, and with a timeout.

Redirects are not followed, proxies from the environment are not used, and responses are not decompressed. Certificates
are verified against the host name with the authorities that OpenSSL trusts (set ``SSL_CERT_FILE`` to use others).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Literal, NamedTuple

from .connections import MAX_CONTENT_BYTES, Connection, ConnectionKey, ConnectionPool, Deadline, NoResponse, RawResponse
from .ssrf import Destination, HostUnresolved, SsrfGuard, UrlRefused

#: The kinds of failure. After a timeout, the rest of the round is put off.
SendFailure = Literal["refused", "dns", "connect", "tls", "timeout", "protocol"]
#: The maximum number of idle connections, and the seconds each is kept: less than most servers keep them open.
MAX_IDLE_CONNECTIONS = 256
MAX_IDLE_SECONDS = 15.0
_HEADER_LINE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+: [\t -~\xa0-\xff]*")


class SendError(Exception):
    """The request got no response. `kind` is the kind of failure, and `reason` a sentence for the partner."""

    def __init__(self, kind: SendFailure, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


class ReceiverResponse(NamedTuple):
    """The response of the receiver, whatever its status."""

    status: int
    #: The unparsed ``Retry-After`` header, which may be invalid.
    retry_after: str | None
    #: The first 8 KiB of the content, decoded as UTF-8; NUL and invalid bytes are replaced by U+FFFD.
    text: str
    #: Seconds from the start of the DNS lookup to the end of the response.
    latency: float
    #: Whether it came from an internal network that the operator's configuration allows.
    is_internal: bool = False


class Sender:
    """A client that sends webhooks, and fetches documents that partners publish. Thread-safe.

    `connect_timeout` limits the TCP connection over all addresses of the host, in seconds; `timeout` limits the whole
    request, from the DNS lookup to the last byte. The resolver has its own limit for the lookup. `tls` replaces the
    default context, for example to trust other authorities.
    Connections are kept between requests. They are reused only for the same scheme, host name and port, at an address
    that the guard has allowed for the current request, and never in a forked process.
    """

    def __init__(
        self,
        guard: SsrfGuard,
        *,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._guard, self._monotonic = guard, monotonic
        self._connect_timeout, self._timeout = connect_timeout, timeout
        self._custom_tls = tls
        self._pool, self._process = self._make_pool(), os.getpid()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        """Send `body` to `url`; ``Host`` and ``Content-Length`` are added to `headers`.

        If the receiver has closed a kept connection, the request is sent once more over a new one, so a receiver may
        see the same request twice. Raises `SendError`, and `ValueError` for malformed headers.
        """
        started = self._monotonic()
        with self._translate_errors():
            deadline = Deadline(self._timeout, self._monotonic)
            destination = self._guard.check(url)
            request = _build_request("POST", destination, {**headers, "Content-Length": str(len(body))}) + body
            response, address = self._exchange(destination, request, deadline)
        text = response.content.decode("utf-8", "replace").replace("\0", "\ufffd")
        is_internal = bool(text) and self._guard.is_permitted_exception(address)
        return ReceiverResponse(response.status, response.retry_after, text, self._monotonic() - started, is_internal)

    def fetch(self, url: str, headers: Mapping[str, str], max_bytes: int) -> bytes:
        """Return the content that `url` responds with to GET; ``Host`` is added to `headers`.

        Raises `SendError`, also for any status but 200 and for a content of more than `max_bytes`, and `ValueError` for
        malformed headers.
        """
        with self._translate_errors():
            deadline = Deadline(self._timeout, self._monotonic)
            destination = self._guard.check(url)
            request = _build_request("GET", destination, headers)
            response, _ = self._exchange(destination, request, deadline, max_bytes + 1)
        if response.status != HTTPStatus.OK:
            raise SendError("protocol", f"The response has the status {response.status} instead of 200.")
        if len(response.content) > max_bytes:
            raise SendError("protocol", f"The response is larger than {max_bytes} bytes.")
        return response.content

    def close(self) -> None:
        """Close the kept connections. Later requests still work, but keep none."""
        self._get_pool().close()

    def _exchange(
        self, destination: Destination, request: bytes, deadline: Deadline, max_content: int = MAX_CONTENT_BYTES
    ) -> tuple[RawResponse, str]:
        """Send `request` and return the response with the address that it came from."""
        connection = self._get_pool().take(_list_connection_keys(destination))
        if connection is not None:
            with contextlib.suppress(NoResponse):
                return self._exchange_over(connection, request, deadline, max_content), connection.key.address
        connection = self._open_connection(destination, deadline)
        return self._exchange_over(connection, request, deadline, max_content), connection.key.address

    def _exchange_over(
        self, connection: Connection, request: bytes, deadline: Deadline, max_content: int
    ) -> RawResponse:
        try:
            response = connection.exchange(request, deadline, max_content)
        except BaseException:
            connection.close()
            raise
        if response.is_reusable:
            self._get_pool().keep(connection)
        else:
            connection.close()
        return response

    def _open_connection(self, destination: Destination, deadline: Deadline) -> Connection:
        key, sock = self._connect(destination, deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Connection(key, self._wrap_tls(sock, destination, deadline))
        except BaseException:
            sock.close()
            raise

    def _connect(self, destination: Destination, deadline: Deadline) -> tuple[ConnectionKey, socket.socket]:
        """Connect to the first reachable address; each address gets an equal share of the remaining time."""
        connect_deadline = Deadline(min(self._connect_timeout, deadline.remaining()), self._monotonic)
        keys = list(_list_connection_keys(destination))
        failure: OSError | None = None
        for index, key in enumerate(keys):
            try:
                seconds = connect_deadline.remaining() / (len(keys) - index)
                return key, socket.create_connection((key.address, key.port), timeout=seconds)
            except OSError as error:
                failure = error
        raise _make_connect_error(failure)

    def _wrap_tls(self, sock: socket.socket, destination: Destination, deadline: Deadline) -> socket.socket:
        if destination.scheme != "https":
            return sock
        sock.settimeout(deadline.remaining())
        try:
            return self._tls.wrap_socket(sock, server_hostname=destination.host)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise SendError("tls", "The receiver closed the connection during the TLS handshake.") from error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._custom_tls is not None:
            return self._custom_tls
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _get_pool(self) -> ConnectionPool:
        if self._process != os.getpid():
            self._pool.close_in_child()
            self._pool = self._make_pool()
            self._process = os.getpid()
        return self._pool

    def _make_pool(self) -> ConnectionPool:
        return ConnectionPool(MAX_IDLE_CONNECTIONS, MAX_IDLE_SECONDS, self._monotonic)

    @contextlib.contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Convert every failure to a `SendError` whose reason contains nothing that the receiver sent."""
        try:
            yield
        except UrlRefused as refusal:
            raise SendError("dns" if isinstance(refusal, HostUnresolved) else "refused", str(refusal)) from refusal
        except TimeoutError as error:
            raise SendError("timeout", f"There was no complete response within {self._timeout:g} seconds.") from error
        except ssl.SSLCertVerificationError as error:
            raise SendError("tls", f"The certificate is not valid: {error.verify_message.rstrip('.')}.") from error
        except ssl.SSLError as error:
            raise SendError("tls", f"TLS failed: {error.reason or 'no reason was given'}.") from error
        except NoResponse as error:
            raise SendError("protocol", "The receiver closed the connection without a response.") from error
        except OSError as error:
            raise SendError("protocol", "The connection broke before the response was complete.") from error
        except http.client.HTTPException as error:
            raise SendError(
                "protocol", "The response is not valid HTTP/1.1, is incomplete, or its headers are too large."
            ) from error


def _make_connect_error(failure: OSError | None) -> SendError:
    if isinstance(failure, TimeoutError):
        return SendError("timeout", "No connection could be made in time.")
    reason = f": {os.strerror(failure.errno)}" if failure is not None and failure.errno else ""
    return SendError("connect", f"No connection could be made{reason}.")


def _list_connection_keys(destination: Destination) -> Iterator[ConnectionKey]:
    return (
        ConnectionKey(destination.scheme, destination.host, destination.port, address)
        for address in destination.addresses
    )


def _build_request(method: str, destination: Destination, headers: Mapping[str, str]) -> bytes:
    """Build the head of a request. Raises `ValueError` for malformed headers."""
    fields = [f"{name}: {value}" for name, value in headers.items()]
    if not all(map(_HEADER_LINE.fullmatch, fields)):
        raise ValueError("a header's name or value has characters that HTTP does not allow")
    lines = [f"{method} {destination.target} HTTP/1.1", f"Host: {destination.authority}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
