"""What each of the clients has in its own form: sleeping, asking for a token, and locks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

#: A token, or a function that returns one: for each request, so it should keep a token while that is valid.
Token = str | Callable[[], str | Awaitable[str]]
Sleep = Callable[[float], Awaitable[None]]


def make_lock() -> asyncio.Lock:
    """Return a lock."""
    return asyncio.Lock()


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def resolve_token(token: Token) -> str:
    """Return the token to send."""
    value = token() if callable(token) else token
    return await value if inspect.isawaitable(value) else value
