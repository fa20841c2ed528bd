"""Which addresses lie within somebody's network, and are no receiver's business.

The table is kept here, not asked of `ipaddress`: its ``is_global`` takes ``64:ff9b::a9fe:a9fe``, ``fec0::1`` or
``224.0.0.1`` for global, and changes with Python's patch releases. Source: the IANA registries of special-purpose
addresses (RFC 6890), with what routers and translators make of an IPv4 address inside an IPv6 one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The only IPv6 addresses that are anybody's on the internet (RFC 4291 §2.4, IANA IPv6 Address Space); of all others a
#: router or a translator of the operator's may make something that nobody thought of.
GLOBAL_UNICAST = IPv6Network("2000::/3")

#: Networks that no webhook reaches, unless the operator excepts them. ``168.63.129.16`` is public by its number, and in
#: every network of Azure the host's own agent.
INTERNAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32",
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip

#: Where translators find the IPv4 address: in the last 32 bits (RFC 6052 §2.2, RFC 7915).
_TRANSLATED = (IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))
_LAST_32_BITS = 0xFFFFFFFF


def unwrapped(text: str) -> Address:
    """The address that is reached at `text`: an IPv4-mapped one (``::ffff:192.0.2.1``) is that IPv4 address."""
    address = ip_address(text)
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def is_permitted(address: Address, excepted: Iterable[Network] = ()) -> bool:
    """Return whether a webhook may go there: to a public address, or into a network that the operator excepts.

    Who excepts the network of a translator (NAT64, 6to4, Teredo) has not excepted what lies behind it: the IPv4
    address inside is held against the table too.
    """
    return all(
        any(face in network for network in excepted) or not _is_internal(face) for face in (address, *_inside(address))
    )


def _is_internal(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in GLOBAL_UNICAST:
        return True
    return any(address in network for network in INTERNAL)


def _inside(address: Address) -> Iterator[IPv4Address]:
    if isinstance(address, IPv4Address):
        return
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield address.teredo[1]
    if any(address in network for network in _TRANSLATED):
        yield IPv4Address(int(address) & _LAST_32_BITS)
