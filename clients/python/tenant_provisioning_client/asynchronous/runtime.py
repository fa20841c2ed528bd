"""The two acts that each of the clients has in its own form: sleeping, and asking for a token."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable

#: A token, or a function that returns one: for each request, so it should keep a token while that is valid.
Token = str | Callable[[], str | Awaitable[str]]
Sleep = Callable[[float], Awaitable[None]]


async def sleep(seconds: float) -> None:
    """Wait."""
    await asyncio.sleep(seconds)


async def resolve_token(token: Token) -> str:
    """Return the token to send."""
    value = token() if callable(token) else token
    return await value if inspect.isawaitable(value) else value
