"""What each of the clients has in its own form: sleeping, asking for a token, and locks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: A token, or a function that returns one: for each request, so it should keep a token while that is valid.
Token = str | Callable[[], str]
Sleep = Callable[[float], None]


def make_lock() -> threading.Lock:
    """Return a lock."""
    return threading.Lock()


def sleep(seconds: float) -> None:
    """Wait."""
    time.sleep(seconds)


def resolve_token(token: Token) -> str:
    """Return the token to send."""
    return token() if callable(token) else token
