"""A storage of `limits` that goes by a clock of the test's: what time does to a rate limit, without waiting for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any, ClassVar
from urllib.parse import urlsplit

import pytest
from limits.storage import Storage

from tests.support.clock import Clock


class ClockedStorage(Storage):
    """Counts in this process. Its URL, ``clocked://name``, names one of the `clocks`; while one is `away` it fails,
    and while one is `held` it does not answer.
    """

    STORAGE_SCHEME = ["clocked"]  # noqa: RUF012
    clocks: ClassVar[dict[str, Clock]] = {}
    away: ClassVar[set[str]] = set()
    held: ClassVar[dict[str, threading.Event]] = {}

    def __init__(self, uri: str, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri)
        self.wrap_exceptions = wrap_exceptions
        self.name = urlsplit(uri).netloc
        self.asked = self.looked = 0
        self._clock = self.clocks[self.name]
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    @property
    def base_exceptions(self) -> type[Exception]:
        return ConnectionError

    def incr(self, key: str, expiry: int, amount: int = 1, *_more: Any, **_others: Any) -> int:
        self.asked += 1
        if self.name in self.held:
            self.held[self.name].wait(10)
        if not self.check():
            raise ConnectionError(f"{self.name} is away")
        with self._lock:
            count, ends = self._counts.get(key, (0, 0.0))
            if ends <= self._clock():
                count, ends = 0, self._clock() + expiry
            self._counts[key] = count + amount, ends
            return count + amount

    def get(self, key: str) -> int:
        count, ends = self._counts.get(key, (0, 0.0))
        return count if ends > self._clock() else 0

    def get_expiry(self, key: str) -> int:
        self.looked += 1
        return self._counts.get(key, (0, self._clock()))[1]  # type: ignore[return-value]

    def check(self) -> bool:
        return self.name not in self.away

    def reset(self) -> int | None:
        self._counts.clear()
        return None

    def clear(self, key: str) -> None:
        self._counts.pop(key, None)


class ManualClock:
    """A clock, and the URL of the storage that goes by it; `away` takes that away."""

    def __init__(self, name: str) -> None:
        self.clock = ClockedStorage.clocks[name] = Clock()
        self.url = f"clocked://{name}"
        self._name = name

    def set_away(self, is_away: bool = True) -> None:
        """Let the storage fail, or answer again."""
        (ClockedStorage.away.add if is_away else ClockedStorage.away.discard)(self._name)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let the storage not answer until the block ends."""
        ClockedStorage.held[self._name] = threading.Event()
        yield
        ClockedStorage.held.pop(self._name).set()

    def wait(self, seconds: float) -> None:
        """Move the clock on."""
        self.clock.now += seconds


@pytest.fixture
def hand(request: pytest.FixtureRequest) -> Iterator[ManualClock]:
    """A clock and a storage of this test's own."""
    name = f"test-{id(request)}"
    new_clock = ManualClock(name)
    yield new_clock
    new_clock.set_away(False)
    del ClockedStorage.clocks[name]
