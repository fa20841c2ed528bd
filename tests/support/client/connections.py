"""Both clients behind one face, so that one test is about each, and a time that no test waits for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal

import httpx

from tenant_provisioning_client import AsyncClient, Client

Kind = Literal["sync", "async"]
Connect = Callable[..., Any]


class Time:
    """A clock, and a sleep that only turns it forward."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        #: Called with the seconds of each wait.
        self.on_wait: Callable[[float], None] = lambda seconds: None

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        self.on_wait(seconds)

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Connections:
    """Makes clients of one kind, and closes them."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._loop = asyncio.new_event_loop() if kind == "async" else None
        # Without certificates, whose loading would take longer than most tests.
        self._http: Any = httpx.Client(verify=False) if kind == "sync" else httpx.AsyncClient(verify=False)

    def __call__(self, base_url: str, token: Any = None, *, time: Time | None = None, **options: Any) -> Any:
        """Make a client; without random waits, and with `time` instead of the real one if it is given."""
        options = {"random": lambda: 0.0, "http": self._http, **options}
        if time is not None:
            options |= {"clock": time.clock, "sleep": time.sleep if self._loop is None else time.sleep_async}
        if self._loop is None:
            return Client(base_url, token, **options)
        return Blocking(AsyncClient(base_url, token, **options), self._loop)

    def close(self) -> None:
        if self._loop is None:
            self._http.close()
        else:
            self._loop.run_until_complete(self._http.aclose())
            self._loop.close()


class Blocking:
    """An object of the asynchronous client, used as one of the synchronous client."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target, self._loop = target, loop

    def __getattr__(self, name: str) -> Any:
        return self._wrap(getattr(self._target, name))

    def __iter__(self) -> Iterator[Any]:
        iterator = aiter(self._target)
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(anext(iterator))
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(iterator.aclose())

    def __repr__(self) -> str:
        return repr(self._target)

    def _wrap(self, value: Any) -> Any:
        if inspect.isawaitable(value):
            return self._loop.run_until_complete(value)
        if inspect.ismethod(value):
            return lambda *arguments, **options: self._wrap(value(*arguments, **options))
        module = type(value).__module__
        is_own = module.startswith("tenant_provisioning_client.asynchronous") or hasattr(value, "__aiter__")
        return Blocking(value, self._loop) if is_own else value
