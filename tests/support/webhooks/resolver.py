"""A resolver for the tests: it knows what it is told, and answers as ``socket.getaddrinfo`` does."""

from __future__ import annotations

import socket
from typing import Any


class FakeResolver:
    """A resolver that knows these names, and writes down what it was asked."""

    def __init__(self, **known: list[str]) -> None:
        self.known = {name.replace("_", "."): addresses for name, addresses in known.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, *, type: int) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            (socket.AF_INET6 if ":" in address else socket.AF_INET, type, 6, "", (address, port))
            for address in self.known[host]
        ]


def resolve_example_to(*addresses: str) -> FakeResolver:
    """A resolver in which example.com has these addresses."""
    return FakeResolver(example_com=list(addresses))
