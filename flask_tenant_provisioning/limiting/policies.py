"""What is allowed, what is left of it, and the fields that say so (draft-ietf-httpapi-ratelimit-headers-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..config.rates import rates

if TYPE_CHECKING:
    from limits import RateLimitItem


class Policy(NamedTuple):
    """So many requests in so many seconds, under a name of its own among those of a class."""

    name: str
    item: RateLimitItem

    @property
    def window(self) -> int:
        """The seconds."""
        return self.item.get_expiry()

    def __str__(self) -> str:
        return f'"{self.name}";q={self.item.amount};w={self.window}'


class Account(NamedTuple):
    """What a partner has left of a policy: requests, until as many as the policy says are there again in seconds."""

    policy: Policy
    remaining: int
    reset: int

    def __str__(self) -> str:
        return f'"{self.policy.name}";r={self.remaining};t={self.reset}'


class Spent(NamedTuple):
    """One request, counted: every account of its class, and the one that it found empty."""

    accounts: tuple[Account, ...]
    exhausted: Account | None

    def headers(self) -> dict[str, str]:
        """The fields that every answer to it bears."""
        return {
            "RateLimit": ", ".join(map(str, self.accounts)),
            "RateLimit-Policy": ", ".join(str(account.policy) for account in self.accounts),
        }


def policies(rate_class: str, text: str) -> tuple[Policy, ...]:
    """The policies of a class, the one of the shortest window first. Raises `ValueError` for what names no limit."""
    items = rates(text)
    if len(items) == 1:
        return (Policy(rate_class, items[0]),)
    return tuple(Policy(f"{rate_class}-{item.get_expiry()}s", item) for item in items)
