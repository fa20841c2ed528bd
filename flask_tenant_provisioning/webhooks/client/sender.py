"""Send a POST to a partner's server: only to addresses that the SSRF guard allows, and within its timeout.

No redirect is followed, no proxy of the environment used, nothing decompressed. Certificates are verified against the
host name, with the authorities that OpenSSL trusts (``SSL_CERT_FILE`` names others).
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
from typing import Literal, NamedTuple

from .connections import Connection, ConnectionKey, ConnectionPool, Deadline, NoResponse, RawResponse
from .ssrf import Destination, HostUnresolved, SsrfGuard, UrlRefused

#: What went wrong; for the operator, and for the choice of when to try again.
FailureKind = Literal["refused", "dns", "connect", "tls", "timeout", "protocol"]
#: Connections that are kept open between two sends, and for how many seconds: less than most servers wait.
MAX_IDLE_CONNECTIONS = 256
MAX_IDLE_SECONDS = 15.0
_HEADER_LINE = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+: [\t -~\xa0-\xff]*")


class SendError(Exception):
    """There is no answer. `reason` is a sentence for the partner; `kind` says where it failed."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind, self.reason = kind, reason


class ReceiverResponse(NamedTuple):
    """What the receiver answered, whatever its status."""

    status: int
    #: The header ``Retry-After`` as it came: seconds, a date, or nonsense.
    retry_after: str | None
    #: The first 8 KiB of the content, read as UTF-8; what is none, and NUL, is U+FFFD.
    text: str
    #: Seconds from the look-up of the name to the end of the answer.
    latency: float
    #: Whether it came from a network that only the operator's exception lets webhooks reach.
    is_internal: bool = False


class Sender:
    """Sends webhooks; any number of threads may share one.

    `connect_timeout` seconds are for the TCP connection, over all addresses of the name; `timeout` seconds for
    everything, from the look-up to the last byte; the look-up has a limit of its own, the resolver's. `tls` is a
    context of one's own, with other authorities for example.
    Connections are kept between sends, and used again only for the same scheme, name and port at an address that this
    send's check has found; a forked process uses none of its parent's.
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
        self._given_tls = tls
        self._pool, self._process = self._new_pool(), os.getpid()

    def post(self, url: str, headers: Mapping[str, str], body: bytes) -> ReceiverResponse:
        """Send `body` to `url`; ``Host`` and ``Content-Length`` are added to `headers`.

        A kept connection that the receiver turns out to have closed is replaced by a new one, once, so that a receiver
        may see the same request twice. Raises `SendFailed`, and `ValueError` for headers that are none.
        """
        began = self._monotonic()
        with self._told():
            deadline = Deadline(self._timeout, self._monotonic)
            destination = self._guard.check(url)
            reply, address = self._exchange(destination, _build_request(destination, headers, body), deadline)
        text = reply.content.decode("utf-8", "replace").replace("\0", "\ufffd")
        is_internal = bool(text) and self._guard.is_permitted_exception(address)
        return ReceiverResponse(reply.status, reply.retry_after, text, self._monotonic() - began, is_internal)

    def close(self) -> None:
        """Close the connections that are kept; a send after it works, and keeps none."""
        self._get_pool().close()

    def _exchange(self, destination: Destination, request: bytes, deadline: Deadline) -> tuple[RawResponse, str]:
        """The reply, and the address that it came from."""
        if kept := self._get_pool().take(_list_connection_keys(destination)):
            with contextlib.suppress(NoResponse):
                return self._over(kept, request, deadline), kept.route.address
        opened = self._opened(destination, deadline)
        return self._over(opened, request, deadline), opened.route.address

    def _over(self, connection: Connection, request: bytes, deadline: Deadline) -> RawResponse:
        try:
            reply = connection.exchange(request, deadline)
        except BaseException:
            connection.close()
            raise
        if reply.is_reusable:
            self._get_pool().keep(connection)
        else:
            connection.close()
        return reply

    def _opened(self, destination: Destination, deadline: Deadline) -> Connection:
        route, sock = self._connected(destination, deadline)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return Connection(route, self._wrap_tls(sock, destination, deadline))
        except BaseException:
            sock.close()
            raise

    def _connected(self, destination: Destination, deadline: Deadline) -> tuple[ConnectionKey, socket.socket]:
        """The first address that takes a connection; each may use its share of the time that is left."""
        within = Deadline(min(self._connect_timeout, deadline.left()), self._monotonic)
        routes = list(_list_connection_keys(destination))
        failure: OSError | None = None
        for tried, route in enumerate(routes):
            try:
                share = within.left() / (len(routes) - tried)
                return route, socket.create_connection((route.address, route.port), timeout=share)
            except OSError as error:
                failure = error
        raise _make_connect_error(failure)

    def _wrap_tls(self, sock: socket.socket, destination: Destination, deadline: Deadline) -> socket.socket:
        if destination.scheme != "https":
            return sock
        sock.settimeout(deadline.left())
        try:
            return self._tls.wrap_socket(sock, server_hostname=destination.host)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise SendError("tls", "The receiver closed the connection during the TLS handshake.") from error

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        if self._given_tls is not None:
            return self._given_tls
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def _get_pool(self) -> ConnectionPool:
        if self._process != os.getpid():
            self._pool.close_in_child()
            self._pool = self._new_pool()
            self._process = os.getpid()
        return self._pool

    def _new_pool(self) -> ConnectionPool:
        return ConnectionPool(MAX_IDLE_CONNECTIONS, MAX_IDLE_SECONDS, self._monotonic)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Tell every failure as a `SendFailed` whose reason holds nothing of what the receiver sent."""
        try:
            yield
        except UrlRefused as refusal:
            raise SendError("dns" if isinstance(refusal, HostUnresolved) else "refused", str(refusal)) from refusal
        except TimeoutError as error:
            raise SendError("timeout", f"There was no whole answer within {self._timeout:g} seconds.") from error
        except ssl.SSLCertVerificationError as error:
            raise SendError("tls", f"The certificate is not valid: {error.verify_message.rstrip('.')}.") from error
        except ssl.SSLError as error:
            raise SendError("tls", f"TLS failed: {error.reason or 'no reason was given'}.") from error
        except NoResponse as error:
            raise SendError("protocol", "The receiver closed the connection without an answer.") from error
        except OSError as error:
            raise SendError("protocol", "The connection broke before the answer was whole.") from error
        except http.client.HTTPException as error:
            raise SendError("protocol", "The answer is not HTTP/1.1, broke off, or has too large a head.") from error


def _make_connect_error(failure: OSError | None) -> SendError:
    if isinstance(failure, TimeoutError):
        return SendError("timeout", "No connection could be made in time.")
    why = f": {os.strerror(failure.errno)}" if failure is not None and failure.errno else ""
    return SendError("connect", f"No connection could be made{why}.")


def _list_connection_keys(destination: Destination) -> Iterator[ConnectionKey]:
    return (ConnectionKey(destination.scheme, destination.host, destination.port, to) for to in destination.addresses)


def _build_request(destination: Destination, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = [f"{name}: {value}" for name, value in headers.items()]
    if not all(map(_HEADER_LINE.fullmatch, fields)):
        raise ValueError("a header's name or value has characters that HTTP does not allow")
    lines = [
        f"POST {destination.target} HTTP/1.1",
        f"Host: {destination.authority}",
        *fields,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
