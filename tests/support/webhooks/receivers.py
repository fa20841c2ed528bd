"""Receivers of webhooks: real sockets on the loopback interface that answer as a test wants, or do not."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

#: What is done with the n-th connection, n from 0.
Behaviour = Callable[[socket.socket, int], None]


class Receiver:
    """Listens until the block ends; `requests` are those that it has read, `connections` how many were opened."""

    def __init__(
        self,
        behave: Behaviour | bytes = OK,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._behave = answer_always(behave) if isinstance(behave, bytes) else behave
        self._tls = tls
        self._listener = _listener(host, port)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0

    def __enter__(self) -> Receiver:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for sock in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(10)

    def url(self, host: str = "example.com", path: str = "/hook") -> str:
        """Return the URL at which a webhook reaches it."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                self._open.append(sock)
                thread = threading.Thread(target=self._serve, args=(sock, self.connections))
                self.connections += 1
                self._threads.append(thread)
                thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            with sock:
                self._behave(sock, number)


def _listener(host: str, port: int) -> socket.socket:
    """A listening socket; ``::`` is every address of this machine, those of IPv4 too."""
    if ":" not in host:
        return socket.create_server((host, port))
    return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=host == "::")


class AnswerSequence:
    """Reads requests, keeps them, and answers each with the next of `answers`; then it closes the connection."""

    def __init__(self, *responses: bytes) -> None:
        self._answers = responses
        self.requests: list[bytes] = []

    def __call__(self, sock: socket.socket, _number: int) -> None:
        for response in self._answers:
            if not (request := read_request(sock)):
                return
            self.requests.append(request)
            sock.sendall(response)


def answer_always(response: bytes) -> Behaviour:
    """Answer every request on every connection with `response`, until the sender closes."""

    def behave(sock: socket.socket, _number: int) -> None:
        while read_request(sock):
            sock.sendall(response)

    return behave


def answer_once(response: bytes) -> Behaviour:
    """Answer the first request of each connection with `response`, and close."""

    def behave(sock: socket.socket, _number: int) -> None:
        read_request(sock)
        sock.sendall(response)

    return behave


def answer_slowly(head: bytes, drop: bytes) -> Behaviour:
    """Say `head`, and then one `drop` after the other, whatever was asked."""

    def behave(sock: socket.socket, _number: int) -> None:
        sock.sendall(head)
        while not threading.Event().wait(0.005):
            sock.sendall(drop)

    return behave


def answer_without_end(head: bytes, drop: bytes) -> Behaviour:
    """The same as fast as it goes."""

    def behave(sock: socket.socket, _number: int) -> None:
        sock.sendall(head)
        while True:
            sock.sendall(drop)

    return behave


def answer_then_reset(response: bytes) -> Behaviour:
    """Answer the first request of each connection with `response`, and break the connection."""

    def behave(sock: socket.socket, _number: int) -> None:
        read_request(sock)
        sock.sendall(response)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def stay_silent(sock: socket.socket, _number: int) -> None:
    """Read all that comes, and say nothing."""
    while sock.recv(65536):
        pass


def read_request(sock: socket.socket) -> bytes:
    """One whole request; empty at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := sock.recv(65536)):
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    (length,) = lengths if head.startswith(b"POST ") else (0,)
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


class CertificateAuthority:
    """Signs certificates of receivers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        basic = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = self._sign_certificate(self._name, self._key.public_key(), [basic, usage])

    def make_client_context(self) -> ssl.SSLContext:
        """The context of a sender that trusts this authority alone, and is as strict as those of Python 3.13."""
        context = ssl.create_default_context(cadata=self._pem(self._certificate).decode())
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    def make_server_context(self, *names: str, seen: list[str | None] | None = None, days: int = 1) -> ssl.SSLContext:
        """The context of a receiver with a certificate for `names`; what senders name as SNI is put into `seen`."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        certificate = self._sign_certificate(x509.Name([]), key.public_key(), [alternative], days)
        file = self._folder / f"{certificate.serial_number}.pem"
        file.write_bytes(self._private(key) + self._pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if seen is not None:
            context.sni_callback = lambda _socket, name, _context: seen.append(name)
        return context

    def _sign_certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, extensions: list[x509.ExtensionType], days: int = 1
    ) -> x509.Certificate:
        now, own = datetime.datetime.now(datetime.UTC), self._key.public_key()
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=10))
        builder = builder.not_valid_after(now + datetime.timedelta(days=days))
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(own)
        return builder.add_extension(issuer, critical=False).sign(self._key, hashes.SHA256())

    def _pem(self, certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    def _private(self, key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@contextlib.contextmanager
def open_unreachable_port() -> Iterator[int]:
    """A port of 127.0.0.1 that neither accepts nor refuses a connection: its queue is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
