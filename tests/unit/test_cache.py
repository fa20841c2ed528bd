"""The TTL cache: lifetimes, sizes, and invalidation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from flask_tenant_provisioning.cache import TTLCache
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fails() -> Any:
    raise LookupError


def test_value_expires_after_its_lifetime(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)
    assert known.get("a") is None
    assert known.load("a", lambda: 1) == known.get("a") == 1
    clock.now += 59.999
    assert known.get("a") == 1
    clock.now += 0.001
    assert known.get("a") is None


def test_a_clock_that_was_put_back_makes_nothing_last(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)
    known.load("a", lambda: 1)
    clock.now -= 1
    assert known.get("a") is None


def test_ttl_begins_when_the_load_starts(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)

    def slow() -> int:
        clock.now += 59
        return 1

    known.load("a", slow)
    assert known.get("a") == 1
    clock.now += 1
    assert known.get("a") is None


def test_without_a_time_nothing_is_remembered(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 0)
    assert (known.load("a", lambda: 1), known.get("a"), known._entries) == (1, None, {})


def test_without_a_size_nothing_is_cached(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60, max_size=0)
    assert (cache.load("a", lambda: 1), cache.get("a"), cache._entries) == (1, None, {})


def test_without_an_end_a_value_stays(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, math.inf)
    cache.load("a", lambda: 1)
    clock.now += 1e9
    assert cache.get("a") == 1


def test_none_is_not_cached(clock: Clock) -> None:
    known: TTLCache[str, int | None] = TTLCache(clock, 60)
    assert (known.load("a", lambda: None), known._entries, known._loading) == (None, {}, {})


def test_full_cache_drops_the_least_recently_used_entry(clock: Clock) -> None:
    known: TTLCache[int, int] = TTLCache(clock, 60, max_size=3)
    for key in (1, 2, 3, 1, 4):
        known.load(key, lambda: 0)
    assert [key for key in range(6) if known.get(key) is not None] == [1, 3, 4]


def invalidate_two(known: TTLCache[str, int]) -> None:
    known.invalidate(["b", "a"])


def some(known: TTLCache[str, int]) -> None:
    known.invalidate_where(lambda value: value == 1)


@pytest.mark.parametrize("forget", [invalidate_two, some])
def test_invalidated_value_is_loaded_again(clock: Clock, forget: Callable[[Any], None]) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)
    known.load("a", lambda: 1)
    known.load("c", lambda: 3)
    forget(known)
    assert (known.get("a"), known.get("c")) == (None, 3)


@pytest.mark.parametrize("forget", [invalidate_two, some])
def test_load_before_an_invalidation_is_not_cached(clock: Clock, forget: Callable[[Any], None]) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)

    def overtaken() -> int:
        forget(known)
        return 1

    assert (known.load("a", overtaken), known.get("a")) == (1, None)
    assert (known.load("a", lambda: 2), known.get("a")) == (2, 2)


def test_stale_load_does_not_replace_a_newer_value(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)

    def overtaken() -> int:
        known.invalidate(["a"])
        known.load("a", lambda: 2)
        return 1

    assert (known.load("a", overtaken), known.get("a")) == (1, 2)


def test_concurrent_loads_cache_one_value(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)
    assert known.load("a", lambda: known.load("a", lambda: 2) - 1) == 1
    assert known.get("a") == 2


def test_invalidation_of_other_keys_does_not_prevent_caching(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)

    def ask() -> int:
        known.invalidate(["b"])
        return 1

    assert (known.load("a", ask), known.get("a")) == (1, 1)


def test_failed_load_keeps_cached_values_only(clock: Clock) -> None:
    known: TTLCache[str, int] = TTLCache(clock, 60)
    known.load("a", lambda: 1)
    for key in ("a", "b"):
        with pytest.raises(LookupError):
            known.load(key, fails)
    assert (known.get("a"), known.get("b"), known._loading) == (1, None, {})
