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
    cache: TTLCache[str, int] = TTLCache(clock, 60)
    assert cache.get("a") is None
    assert cache.load("a", lambda: 1) == cache.get("a") == 1
    clock.now += 59.999
    assert cache.get("a") == 1
    clock.now += 0.001
    assert cache.get("a") is None


def test_clock_set_back_expires_cached_values(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)
    cache.load("a", lambda: 1)
    clock.now -= 1
    assert cache.get("a") is None


def test_ttl_begins_when_the_load_starts(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)

    def slow() -> int:
        clock.now += 59
        return 1

    cache.load("a", slow)
    assert cache.get("a") == 1
    clock.now += 1
    assert cache.get("a") is None


def test_without_a_time_nothing_is_remembered(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 0)
    assert (cache.load("a", lambda: 1), cache.get("a"), cache._entries) == (1, None, {})


def test_without_a_size_nothing_is_cached(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60, max_size=0)
    assert (cache.load("a", lambda: 1), cache.get("a"), cache._entries) == (1, None, {})


def test_without_an_end_a_value_stays(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, math.inf)
    cache.load("a", lambda: 1)
    clock.now += 1e9
    assert cache.get("a") == 1


def test_none_is_not_cached(clock: Clock) -> None:
    cache: TTLCache[str, int | None] = TTLCache(clock, 60)
    assert (cache.load("a", lambda: None), cache._entries, cache._loading) == (None, {}, {})


def test_full_cache_drops_the_least_recently_used_entry(clock: Clock) -> None:
    cache: TTLCache[int, int] = TTLCache(clock, 60, max_size=3)
    for key in (1, 2, 3, 1, 4):
        cache.load(key, lambda: 0)
    assert [key for key in range(6) if cache.get(key) is not None] == [1, 3, 4]


def invalidate_two(cache: TTLCache[str, int]) -> None:
    cache.invalidate(["b", "a"])


def invalidate_ones(cache: TTLCache[str, int]) -> None:
    cache.invalidate_where(lambda value: value == 1)


@pytest.mark.parametrize("forget", [invalidate_two, invalidate_ones])
def test_invalidated_value_is_loaded_again(clock: Clock, forget: Callable[[Any], None]) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)
    cache.load("a", lambda: 1)
    cache.load("c", lambda: 3)
    forget(cache)
    assert (cache.get("a"), cache.get("c")) == (None, 3)


@pytest.mark.parametrize("forget", [invalidate_two, invalidate_ones])
def test_load_before_an_invalidation_is_not_cached(clock: Clock, forget: Callable[[Any], None]) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)

    def overtaken() -> int:
        forget(cache)
        return 1

    assert (cache.load("a", overtaken), cache.get("a")) == (1, None)
    assert (cache.load("a", lambda: 2), cache.get("a")) == (2, 2)


def test_stale_load_does_not_replace_a_newer_value(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)

    def overtaken() -> int:
        cache.invalidate(["a"])
        cache.load("a", lambda: 2)
        return 1

    assert (cache.load("a", overtaken), cache.get("a")) == (1, 2)


def test_concurrent_loads_cache_one_value(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)
    assert cache.load("a", lambda: cache.load("a", lambda: 2) - 1) == 1
    assert cache.get("a") == 2


def test_invalidation_of_other_keys_does_not_prevent_caching(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)

    def ask() -> int:
        cache.invalidate(["b"])
        return 1

    assert (cache.load("a", ask), cache.get("a")) == (1, 1)


def test_failed_load_keeps_cached_values_only(clock: Clock) -> None:
    cache: TTLCache[str, int] = TTLCache(clock, 60)
    cache.load("a", lambda: 1)
    for key in ("a", "b"):
        with pytest.raises(LookupError):
            cache.load(key, fails)
    assert (cache.get("a"), cache.get("b"), cache._loading) == (1, None, {})
