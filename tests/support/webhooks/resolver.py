"""A resolver with fixed addresses and the interface of ``socket.getaddrinfo``."""

from __future__ import annotations

import socket
from typing import Any


class FakeResolver:
    """A resolver with fixed addresses that records its lookups."""

    def __init__(self, **addresses_by_name: list[str]) -> None:
        self.addresses = {name.replace("_", "."): addresses for name, addresses in addresses_by_name.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
            for address in self.addresses[host]
        ]


def resolve_example_to(*addresses: str) -> FakeResolver:
    """A resolver in which example.com has these addresses."""
    return FakeResolver(example_com=list(addresses))
