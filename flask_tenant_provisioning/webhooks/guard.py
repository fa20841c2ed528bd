"""Where webhooks may be sent: no partner's URL makes this service call into somebody's network (SSRF).

A URL is read by one strict grammar (RFC 3986 without what only confuses readers), its host is resolved once, and *all*
addresses found are held against the table. The addresses that were checked are returned: who sends must connect to
them, and ask again for every send, since names change their addresses.

Refused by its spelling, before anything is resolved:

- more than 2048 characters; white space, control characters, backslashes, and in path and query whatever RFC 3986 wants
  percent-encoded;
- user names and passwords, fragments, zone ids, ``%`` in the host;
- ports that are empty, zero-padded or not in the list; schemes that are not in the list;
- IPv4 in any spelling but four decimal numbers: ``2130706433``, ``0x7f.1``, ``017700000001``, ``127.1``, ``0``. What
  ends in a number is no name (WHATWG URL §3.5);
- names with a dot at the end, an empty label, an underscore, over 253 characters or 63 in a label;
- names outside ASCII that are not IDNA 2008 (RFC 5891) as they stand: nothing is mapped, so digits in circles or of
  full width and ideographic stops are no part of a name. ``bücher.example`` is, as ``xn--bcher-kva.example``.

Everything else is resolved and checked: ``localhost``, names of one label, literals of IPv4 and IPv6.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Any, NamedTuple

import idna

from ..logs import printable
from .networks import Network, is_permitted, unwrapped

logger = logging.getLogger(__name__)

#: ``socket.getaddrinfo`` or what answers like it.
Resolve = Callable[..., Sequence[tuple[Any, ...]]]

LONGEST_URL = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\]|\s")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?P<fragment>#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_TARGET = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")


class Refused(Exception):
    """No webhook may be sent to this URL. The message is for the partner, and tells nothing of what lies inside."""


class Unresolved(Refused):
    """The name has no address, at the moment at least.

    The message is that of a refused address: a partner does not learn which names exist inside.
    """


class Destination(NamedTuple):
    """Where a URL leads: only its `addresses` may be connected to."""

    scheme: str
    #: The name, or the literal, for ``Host``, SNI and the certificate: ASCII, lower case, IPv6 without brackets.
    host: str
    port: int
    #: What was checked, in the resolver's order.
    addresses: tuple[str, ...]
    #: Path and query as they stand in the request line.
    target: str

    @property
    def authority(self) -> str:
        """The value of ``Host``: the port is left out where it is the scheme's own (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class Guard:
    """Decides on URLs by what the operator allows; `allowed_networks` are exceptions from the table.

    No `ports` means any port. `schemes` are out of ``https`` and ``http``.
    """

    def __init__(
        self,
        schemes: Iterable[str] = ("https",),
        ports: Iterable[int] = (443, 8443),
        allowed_networks: Iterable[Network] = (),
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._schemes, self._ports = tuple(schemes), tuple(ports)
        self._allowed, self._resolve = tuple(allowed_networks), resolve

    def check(self, url: str) -> Destination:
        """Where `url` leads, after one look-up of its name.

        Raises `Refused`; its subclass `Unresolved` where the name has no address.
        """
        parts = _parts(url)
        scheme = parts["scheme"].lower()
        if scheme not in self._schemes:
            raise Refused(f"The URL must begin with {' or '.join(f'{name}://' for name in self._schemes)}.")
        host, port = _split(parts["authority"])
        port = DEFAULT_PORTS[scheme] if port is None else port
        if self._ports and port not in self._ports:
            raise Refused(f"Port {port} is not allowed; allowed are: {', '.join(map(str, self._ports))}.")
        target = _target(parts["target"])
        return Destination(scheme, host, port, self._addresses(host, port), target)

    def is_exception(self, address: str) -> bool:
        """Return whether this address is internal, and permitted only since the operator excepts its network."""
        return bool(self._allowed) and not is_permitted(unwrapped(address))

    def _addresses(self, host: str, port: int) -> tuple[str, ...]:
        addresses = [unwrapped(text) for text in self._found(host, port)]
        if internal := [address for address in addresses if not is_permitted(address, self._allowed)]:
            extra = {"host": printable(host), "address": str(internal[0])}
            logger.info(
                "No webhook is sent to %s: its address %s is internal", printable(host), internal[0], extra=extra
            )
            raise Refused(_nowhere(host))
        return tuple(dict.fromkeys(map(str, addresses)))

    def _found(self, host: str, port: int) -> list[str]:
        if _is_literal(host):
            return [host]
        try:
            found = [str(entry[4][0]) for entry in self._resolve(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            raise Unresolved(_nowhere(host)) from error
        if not found:
            raise Unresolved(_nowhere(host))
        return found


def _nowhere(host: str) -> str:
    if _is_literal(host):
        return "Webhooks may not be sent to this address."
    return f"The host name {host} does not lead to an address that webhooks may be sent to."


def _is_literal(host: str) -> bool:
    return ":" in host or _NUMBER.fullmatch(host) is not None


def _parts(url: str) -> re.Match[str]:
    if len(url) > LONGEST_URL:
        raise Refused(f"The URL is longer than {LONGEST_URL} characters.")
    if _UNPRINTABLE.search(url):
        raise Refused("The URL contains white space, control characters or backslashes.")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise Refused("This is not an absolute URL such as https://example.com/hook.")
    if parts["fragment"] is not None:
        raise Refused("The URL must not have a fragment (#).")
    if "@" in parts["authority"]:
        raise Refused("The URL must not carry a user name or password.")
    return parts


def _split(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise Refused("The host is malformed.")
    port = parts["port"]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise Refused("The port is not a number from 1 to 65535.")
    return _host(parts["host"]), None if port is None else int(port)


def _host(text: str) -> str:
    if text.startswith("["):
        return _ipv6(text[1:-1])
    name = _ascii(text).lower()
    if _NUMBER.fullmatch(name):
        return _ipv4(name)
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise Refused("The host name is malformed.")
    return name


def _ascii(name: str) -> str:
    if name.isascii():
        return name
    try:
        return idna.encode(name[:254], strict=True).decode()
    except UnicodeError as error:
        raise Refused("The host name is not valid in IDNA 2008; write it in lower case, or as xn--.") from error


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError as error:
        raise Refused("An IPv4 address is written as four decimal numbers.") from error


def _ipv6(text: str) -> str:
    try:
        if "%" not in text:
            return str(IPv6Address(text))
    except ValueError as error:
        raise Refused("The IPv6 address is malformed.") from error
    raise Refused("An IPv6 address must not have a zone.")


def _target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise Refused("Path and query must be percent-encoded.")
    return text if text.startswith("/") else f"/{text}"
