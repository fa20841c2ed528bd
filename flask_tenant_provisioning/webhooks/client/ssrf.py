"""The SSRF guard: it decides which URLs webhooks may be sent to, so that none leads into an internal network.

A URL is parsed by one strict grammar (RFC 3986 without its ambiguous parts), its host is resolved once, and *all*
addresses are checked against the table of internal networks. The checked addresses are returned: the sender must
connect to one of them, and check again for every send, since DNS answers change.

Refused by its spelling, before anything is resolved:

- more than 2048 characters; white space, control characters, backslashes, and in path and query any character that
  RFC 3986 requires to be percent-encoded;
- user names and passwords, fragments, zone ids, ``%`` in the host;
- ports that are empty, zero-padded or not in the list; schemes that are not in the list;
- IPv4 in any spelling but four decimal numbers: ``2130706433``, ``0x7f.1``, ``017700000001``, ``127.1``, ``0``. A host
  that ends in a number is an address, not a name (WHATWG URL §3.5);
- names with a dot at the end, an empty label, an underscore, over 253 characters or 63 in a label;
- names outside ASCII that are not valid IDNA 2008 (RFC 5891) without mapping, such as names with circled or full-width
  digits or ideographic full stops. ``bücher.example`` is allowed, as ``xn--bcher-kva.example``.

Everything else is resolved and checked, including ``localhost``, names of one label, and IPv4 and IPv6 literals.

The table of internal networks is defined here and not taken from `ipaddress`, whose ``is_global`` is true for
``64:ff9b::a9fe:a9fe``, ``fec0::1`` and ``224.0.0.1``, and changes with Python's patch releases. Source: the IANA
registries of special-purpose addresses (RFC 6890), and the ways in which routers and translators embed an IPv4 address
in an IPv6 address.
"""

from __future__ import annotations

import logging
import re
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

import idna

from ...config import Config
from ...encoding import escape_control_characters
from .resolver import Resolver

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: The only IPv6 addresses that are public (RFC 4291 §2.4, IANA IPv6 Address Space). A router or translator in the
#: operator's network may give any other address a meaning of its own.
GLOBAL_UNICAST = IPv6Network("2000::/3")
#: Networks that webhooks may not reach unless the operator allows them. ``168.63.129.16`` looks public, but in every
#: Azure network it is the agent of the virtual machine's host.
INTERNAL_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip
#: Networks of translators that take the IPv4 address from the last 32 bits (RFC 6052 §2.2, RFC 7915).
_TRANSLATED_NETWORKS = (IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))
_LAST_32_BITS = 0xFFFFFFFF


def parse_address(text: str) -> Address:
    """Parse an address; an IPv4-mapped one (``::ffff:192.0.2.1``) becomes the IPv4 address that it reaches."""
    address = ip_address(text)
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_permitted_address(address: Address, allowed: Iterable[Network] = ()) -> bool:
    """Return whether a webhook may be sent to `address`: a public one, or one in a network that the operator allows.

    Allowing the network of a translator (NAT64, 6to4, Teredo) does not allow the networks behind it: an embedded IPv4
    address is checked as well.
    """
    return all(
        any(part in network for network in allowed) or not _is_internal_address(part)
        for part in (address, *_list_embedded_ipv4(address))
    )


def _is_internal_address(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return True
    return any(address in network for network in INTERNAL_NETWORKS)


def _list_embedded_ipv4(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield address.teredo[1]
    if any(address in network for network in _TRANSLATED_NETWORKS):
        yield IPv4Address(int(address) & _LAST_32_BITS)


logger = logging.getLogger(__name__)
#: ``socket.getaddrinfo`` or a function with the same interface.
Resolve = Callable[..., Sequence[tuple[Any, ...]]]
MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\]|\s")
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?P<fragment>#.*)?")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(:(?P<port>.*))?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_TARGET = re.compile(r"([A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)")


class UrlRefused(Exception):
    """No webhook may be sent to this URL. The message is for the partner and reveals no internals."""


class HostUnresolved(UrlRefused):
    """The host name could not be resolved.

    The message is the same as for a refused address, so a partner does not learn which internal names exist.
    """


class Destination(NamedTuple):
    """The parsed URL and its checked `addresses`, the only ones that may be connected to."""

    scheme: str
    #: The host name or IP literal for ``Host``, SNI and the certificate: ASCII, lower case, IPv6 without brackets.
    host: str
    port: int
    #: The checked addresses in the resolver's order.
    addresses: tuple[str, ...]
    #: The path and query for the request line.
    target: str

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header, without the default port of the scheme (RFC 9110 §7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class SsrfGuard:
    """The check of URLs against the operator's configuration; `allowed_networks` are exceptions from the table.

    Empty `ports` allow any port. `schemes` may contain ``https`` and ``http``.
    """

    def __init__(
        self,
        schemes: Iterable[str] = ("https",),
        ports: Iterable[int] = (443, 8443),
        allowed_networks: Iterable[Network] = (),
        resolve: Resolve = socket.getaddrinfo,
    ) -> None:
        self._schemes, self._ports = tuple(schemes), tuple(ports)
        self._allowed_networks, self._resolve = tuple(allowed_networks), resolve

    def check(self, url: str) -> Destination:
        """Parse `url`, resolve its host once, and return the destination.

        Raises `UrlRefused`, or its subclass `HostUnresolved` if the host name has no address.
        """
        parts = _parse_url(url)
        scheme = parts["scheme"].lower()
        if scheme not in self._schemes:
            raise UrlRefused(f"The URL must begin with {' or '.join(f'{name}://' for name in self._schemes)}.")
        host, port = _parse_authority(parts["authority"])
        port = DEFAULT_PORTS[scheme] if port is None else port
        if self._ports and port not in self._ports:
            raise UrlRefused(f"Port {port} is not allowed; allowed are: {', '.join(map(str, self._ports))}.")
        target = _parse_target(parts["target"])
        return Destination(scheme, host, port, self._resolve_permitted(host, port), target)

    def is_permitted_exception(self, address: str) -> bool:
        """Return whether `address` is internal and permitted only because the operator allows its network."""
        return bool(self._allowed_networks) and not is_permitted_address(parse_address(address))

    def _resolve_permitted(self, host: str, port: int) -> tuple[str, ...]:
        addresses = [parse_address(text) for text in self._resolve_host(host, port)]
        internal = [address for address in addresses if not is_permitted_address(address, self._allowed_networks)]
        if internal:
            extra = {"host": escape_control_characters(host), "address": str(internal[0])}
            logger.info(
                "refused to send webhooks to %s: its address %s is internal",
                escape_control_characters(host),
                internal[0],
                extra=extra,
            )
            raise UrlRefused(_build_refusal_message(host))
        return tuple(dict.fromkeys(map(str, addresses)))

    def _resolve_host(self, host: str, port: int) -> list[str]:
        if _is_ip_literal(host):
            return [host]
        try:
            addresses = [str(entry[4][0]) for entry in self._resolve(host, port, type=socket.SOCK_STREAM)]
        except OSError as error:
            raise HostUnresolved(_build_refusal_message(host)) from error
        if not addresses:
            raise HostUnresolved(_build_refusal_message(host))
        return addresses


def _build_refusal_message(host: str) -> str:
    if _is_ip_literal(host):
        return "Webhooks may not be sent to this address."
    return f"The host name {host} does not lead to an address that webhooks may be sent to."


def _is_ip_literal(host: str) -> bool:
    return ":" in host or _NUMBER.fullmatch(host) is not None


def _parse_url(url: str) -> re.Match[str]:
    if len(url) > MAX_URL_LENGTH:
        raise UrlRefused(f"The URL is longer than {MAX_URL_LENGTH} characters.")
    if _UNPRINTABLE.search(url):
        raise UrlRefused("The URL contains white space, control characters or backslashes.")
    parts = _URL.fullmatch(url)
    if parts is None:
        raise UrlRefused("This is not an absolute URL such as https://example.com/hook.")
    if parts["fragment"] is not None:
        raise UrlRefused("The URL must not have a fragment (#).")
    if "@" in parts["authority"]:
        raise UrlRefused("The URL must not carry a user name or password.")
    return parts


def _parse_authority(authority: str) -> tuple[str, int | None]:
    parts = _AUTHORITY.fullmatch(authority)
    if parts is None:
        raise UrlRefused("The host is malformed.")
    port = parts["port"]
    if port is not None and (not _PORT.fullmatch(port) or int(port) > 65535):
        raise UrlRefused("The port is not a number from 1 to 65535.")
    return _parse_host(parts["host"]), None if port is None else int(port)


def _parse_host(text: str) -> str:
    if text.startswith("["):
        return _parse_ipv6(text[1:-1])
    name = _encode_idna(text).lower()
    if _NUMBER.fullmatch(name):
        return _parse_ipv4(name)
    if len(name) > 253 or not _NAME.fullmatch(name):
        raise UrlRefused("The host name is malformed.")
    return name


def _encode_idna(name: str) -> str:
    if name.isascii():
        return name
    try:
        return idna.encode(name[:254], strict=True).decode()
    except UnicodeError as error:
        raise UrlRefused("The host name is not valid in IDNA 2008; write it in lower case, or as xn--.") from error


def _parse_ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except ValueError as error:
        raise UrlRefused("An IPv4 address is written as four decimal numbers.") from error


def _parse_ipv6(text: str) -> str:
    try:
        if "%" not in text:
            return str(IPv6Address(text))
    except ValueError as error:
        raise UrlRefused("The IPv6 address is malformed.") from error
    raise UrlRefused("An IPv6 address must not have a zone.")


def _parse_target(text: str) -> str:
    if not _TARGET.fullmatch(text):
        raise UrlRefused("Path and query must be percent-encoded.")
    return text if text.startswith("/") else f"/{text}"


def make_guard(config: Config, resolve: Resolve | None = None) -> SsrfGuard:
    """Make the guard for registrations and deliveries; `resolve` defaults to a `Resolver`, limited to two seconds."""
    resolve = Resolver() if resolve is None else resolve
    return SsrfGuard(config.webhook_schemes, config.webhook_ports, config.webhook_allowed_networks, resolve)


def find_url_refusal(config: Config, resolve: Resolve, url: str) -> str | None:
    """Return the reason, for the partner, why no webhook may be sent to `url`; None if it is allowed."""
    try:
        make_guard(config, resolve).check(url)
    except UrlRefused as refusal:
        return str(refusal)
    return None
