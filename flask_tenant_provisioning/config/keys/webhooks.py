"""Webhooks: how many there may be, and where they may be sent."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from ..checks import are_texts, number, texts
from ..declaring import key


def _schemes(value: Any) -> tuple[str, ...]:
    if not value or not are_texts(value) or not {"https", "http"}.issuperset(value):
        raise ValueError("a list out of 'https' and 'http'")
    return tuple(value)


def _is_port(value: Any) -> bool:
    return type(value) is int and 0 < value < 65536


def _ports(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list | tuple | set | frozenset) or not all(map(_is_port, value)):
        raise ValueError("a list of whole numbers from 1 to 65535")
    return tuple(value)


def _networks(value: Any) -> tuple[IPv4Network | IPv6Network, ...]:
    try:
        return tuple(map(ip_network, texts(value)))
    except ValueError as error:
        raise ValueError(
            "a list of networks such as '10.1.0.0/16' or 'fd00::/8', each from its first address"
        ) from error


class WebhookKeys:
    """What partners may have, and what the operator allows beyond the public network."""

    webhook_limit: int = key(20, "How many webhook endpoints a partner may have.", number(0, 10_000))
    webhook_schemes: tuple[str, ...] = key(
        ("https",), "The schemes of URLs that webhooks may be sent to; `http` is for receivers inside.", _schemes
    )
    webhook_ports: tuple[int, ...] = key((443, 8443), "The ports of such URLs; `[]` allows any.", _ports)
    webhook_allowed_networks: tuple[IPv4Network | IPv6Network, ...] = key(
        (),
        "Internal networks that webhooks may be sent to all the same, for example `['10.1.0.0/16']`. Any partner who "
        "may manage webhooks reaches everything there.",
        _networks,
    )
