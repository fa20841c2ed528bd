"""Rate limits: how many requests each partner may send, counted by Flask-Limiter.

`enforce_rate_limit` counts a request. Headers follow draft-ietf-httpapi-ratelimit-headers-10. While the storage of the
counts is unreachable, requests are neither counted nor refused.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from flask import Flask, Response, after_this_request, current_app

from .access.principal import Principal
from .cache import TTLCache
from .config_checks import TOKEN_RATE_CLASS, parse_rate_limits
from .errors import RateLimited
from .hooks import require_result
from .mount import Mount

if TYPE_CHECKING:
    from flask_limiter import Limiter
    from limits import RateLimitItem
    from limits.strategies import RateLimiter

logger = logging.getLogger(__name__)
#: The seconds for which a process caches a result of the host's function.
POLICY_CACHE_SECONDS = 60
#: The seconds after which a failed storage is tried again.
RETRY_SECONDS = 5
#: The longest wait for a private storage to connect or to respond, in seconds.
STORAGE_TIMEOUT_SECONDS = 0.25
#: The key of Flask-Limiter in ``app.extensions``, and the configuration key by which a host disables it.
LIMITER_EXTENSION, LIMITER_ENABLED_KEY = "limiter", "RATELIMIT_ENABLED"
#: The names that every storage accepts as a part of a key.
_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def enforce_rate_limit(mount: Mount, rate_class: str, principal: Principal) -> None:
    """Count this request, whose class has limits. Raises `RateLimited` if the partner has none left."""
    _enforce(get_request_counter(mount).count(principal.partner, rate_class))


def _enforce(result: RateLimitResult | None) -> None:
    """Add the headers of a counted request to its response. Raises `RateLimited` if a policy is exhausted."""
    if result is None:
        return
    after_this_request(partial(_add_headers, result))
    exhausted = result.exhausted
    if exhausted is not None:
        policy = exhausted.policy
        raise make_rate_limited_error(
            policy.name,
            limit=policy.item.amount,
            window=policy.window_seconds,
            wait=exhausted.resets_in_seconds,
        )


def enforce_token_rate_limit(mount: Mount, client_id: str, address: str) -> None:
    """Count this request for an access token: by the address that it came from, then by the client that it names.

    Raises `RateLimited` if one of them has none left. A request that its address may not send does not count for the
    client.
    """
    if not mount.has_rate_limit(TOKEN_RATE_CLASS):
        return
    counter = get_request_counter(mount)
    for name in (f"address {address}", f"client {client_id}"):
        _enforce(counter.count_by_name(name, TOKEN_RATE_CLASS))


def make_rate_limited_error(policy: str, *, limit: int, window: int, wait: int) -> RateLimited:
    """Make the error that names the exhausted policy; `wait` is the time in seconds until it allows a request again."""
    error = RateLimited(
        f"More than {limit} requests in {window} seconds; there are more in {wait}.", headers={"Retry-After": str(wait)}
    )
    error.members["violated-policies"] = [policy]
    return error


def _add_headers(result: RateLimitResult, response: Response) -> Response:
    response.headers.update(result.make_headers())
    return response


class Policy(NamedTuple):
    """A limit of requests per window, under a name that is unique within its class.

    `item` is the limit as the library ``limits`` parses it.
    """

    name: str
    item: RateLimitItem

    @property
    def window_seconds(self) -> int:
        """The length of the window in seconds."""
        return self.item.get_expiry()

    def __str__(self) -> str:
        return f'"{self.name}";q={self.item.amount};w={self.window_seconds}'


#: The policies of a class, the shortest window first.
Policies = tuple[Policy, ...]


class PolicyState(NamedTuple):
    """The requests that a partner has left of a policy, and the seconds until the window is reset."""

    policy: Policy
    remaining: int
    resets_in_seconds: int

    def __str__(self) -> str:
        return f'"{self.policy.name}";r={self.remaining};t={self.resets_in_seconds}'


class RateLimitResult(NamedTuple):
    """One counted request: the state of each policy of its class, and the first exhausted one or None."""

    states: tuple[PolicyState, ...]
    exhausted: PolicyState | None

    def make_headers(self) -> dict[str, str]:
        """Return the rate-limit headers of the response."""
        return {
            "RateLimit": ", ".join(map(str, self.states)),
            "RateLimit-Policy": ", ".join(str(state.policy) for state in self.states),
        }


def parse_policies(rate_class: str, text: str) -> Policies:
    """Parse the policies of a class, the shortest window first. Raises `ValueError` for an invalid limit."""
    items = parse_rate_limits(text)
    if len(items) == 1:
        return (Policy(rate_class, items[0]),)
    return tuple(Policy(f"{rate_class}-{item.get_expiry()}s", item) for item in items)


class RequestCounter:
    """Counts requests. If counting fails, requests are neither counted nor refused."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._clock = mount.storage.clock
        self._policies = PolicyLookup(mount)
        self._breaker = CircuitBreaker(self._clock)
        self._windows = WindowCounter(self._clock)
        self._lock = threading.Lock()
        self._limiter: tuple[Limiter | None, ...] = ()

    def count(self, partner: str, rate_class: str) -> RateLimitResult | None:
        """Count one request of the partner. Returns None if requests are not counted."""
        return self._count_or_skip(self._policies.get(partner, rate_class), partner, rate_class)

    def count_by_name(self, name: str, rate_class: str) -> RateLimitResult | None:
        """Count one request by another name than a partner's, to which the configured limits of the class apply.

        Returns None if requests are not counted.
        """
        return self._count_or_skip(self._policies.get("", rate_class), name, rate_class)

    def _count_or_skip(self, policies: Policies, name: str, rate_class: str) -> RateLimitResult | None:
        if not policies or not self._breaker.allows_request():
            return None
        try:
            result = self._count(policies, name, rate_class)
        except Exception as error:
            self._breaker.record_failure(error)
            return None
        self._breaker.record_success()
        return result

    @property
    def limiter(self) -> Limiter | None:
        """The limiter that counts, looked up at the first request; None if there is none."""
        if not self._limiter:
            with self._lock:
                self._limiter = self._limiter or (find_limiter(self._mount),)
        return self._limiter[0]

    def _count(self, policies: Policies, name: str, rate_class: str) -> RateLimitResult | None:
        limiter = self.limiter
        if limiter is None or not limiter.enabled:
            return None
        prefix = get_key_prefix(limiter)
        prefixes = (prefix,) if prefix else ()
        key = (*prefixes, "provisioning", format_key_part(self._mount.name), rate_class, format_key_part(name))
        return self._count_policies(limiter.limiter, policies, key)

    def _count_policies(self, strategy: RateLimiter, policies: Policies, key: tuple[str, ...]) -> RateLimitResult:
        """Count by each policy in turn; once one is exhausted, the others are only read."""
        states: list[PolicyState] = []
        exhausted = None
        for policy in policies:
            count = self._windows.peek if exhausted else self._windows.hit
            window = count(strategy, policy.item, *key)
            states.append(self._make_state(policy, window))
            if exhausted is None and not window.allowed:
                seconds = max(states[-1].resets_in_seconds, 1)
                exhausted = states[-1] = states[-1]._replace(remaining=0, resets_in_seconds=seconds)
        return RateLimitResult(tuple(states), exhausted)

    def _make_state(self, policy: Policy, count: WindowCount) -> PolicyState:
        # Redis rounds the remaining time of a window to seconds; half a second more prevents a retry that is too early.
        seconds = math.ceil(count.resets_at - self._clock() + 0.5)
        remaining = min(count.remaining, policy.item.amount)
        return PolicyState(policy, remaining, min(max(seconds, 0), policy.window_seconds))


def get_request_counter(mount: Mount) -> RequestCounter:
    """Return the request counter of `mount`."""
    return mount.once(RequestCounter)


def format_key_part(name: str) -> str:
    """Return a part of a storage key: the name itself if every storage accepts it, else its SHA-256 digest."""
    if _SAFE_NAME.fullmatch(name):
        return name
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


class PolicyLookup:
    """The rate-limit policies of one mount's partners."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._configured = {
            rate_class: parse_policies(rate_class, text) for rate_class, text in mount.config.rate_limits.items()
        }
        self._cache: TTLCache[tuple[str, str], Policies] = TTLCache(mount.storage.clock, POLICY_CACHE_SECONDS)

    def get(self, partner: str, rate_class: str) -> Policies:
        """Return the policies for a partner's requests of a class; empty without limits.

        Administrators whose token names no partner ("") share the configured limits.
        """
        if self._mount.registry.rate_limits is None or not partner:
            return self._configured.get(rate_class, ())
        cached = self._cache.get((partner, rate_class))
        if cached is not None:
            return cached
        return self._cache.load((partner, rate_class), partial(self._call_host, partner, rate_class))

    def _call_host(self, partner: str, rate_class: str) -> Policies:
        """Call the host's function; if it returns None or fails, the configured policies apply."""
        function, configured = self._mount.registry.rate_limits, self._configured.get(rate_class, ())
        try:
            with self._mount.in_host():
                limits = None if function is None else function(partner, rate_class)
            require_result(limits, "The rate_limits function")
            return configured if limits is None else parse_policies(rate_class, limits)
        except Exception:
            logger.exception(
                "rate_limits(%r, %r) failed: the configured limits apply",
                partner,
                rate_class,
                extra={"partner": partner, "rate_class": rate_class},
            )
            return configured


class WindowCount(NamedTuple):
    """The state of a window: is the request allowed, how many more are, and when it is reset (seconds since 1970)."""

    allowed: bool
    remaining: int
    resets_at: float


class WindowCounter:
    """Counts requests in windows and caches the reset times of fixed windows in the process.

    Counting, reading and querying the reset time are a round trip to Redis each. A fixed window returns its count when
    it is incremented, and its reset time does not move: it is read again only for the first request of a window and for
    a refused one.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._reset_times: TTLCache[str, float] = TTLCache(clock, math.inf)

    def hit(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> WindowCount:
        """Count a request."""
        from limits.strategies import FixedWindowRateLimiter

        if type(strategy) is not FixedWindowRateLimiter:
            allowed = strategy.hit(item, *key)
            return self.peek(strategy, item, *key)._replace(allowed=allowed)
        name = item.key_for(*key)
        count = strategy.storage.incr(name, item.get_expiry())
        resets_at = self._reset_times.get(name) if 1 < count <= item.amount else None
        if resets_at is None or resets_at <= self._clock():
            resets_at = self._reset_times.load(name, partial(strategy.storage.get_expiry, name))
        return WindowCount(count <= item.amount, max(item.amount - count, 0), resets_at)

    def peek(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> WindowCount:
        """Return the state of a window without counting."""
        resets_at, remaining = strategy.get_window_stats(item, *key)
        return WindowCount(remaining > 0, max(remaining, 0), resets_at)


class CircuitBreaker:
    """Limits attempts to reach a failed storage to one request in `RETRY_SECONDS` seconds, for one process."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._retry_at: float | None = None

    def allows_request(self) -> bool:
        """Return whether to try the storage: there is no outage, or this request is due to test it."""
        if self._retry_at is None:
            return True
        with self._lock:
            now = self._clock()
            if self._retry_at is not None and 0 < self._retry_at - now <= RETRY_SECONDS:
                return False
            self._retry_at = now + RETRY_SECONDS
        return True

    def record_failure(self, error: Exception) -> None:
        """Record a failure, and log it once. Only the error's class is logged: its message could hold a password."""
        with self._lock:
            is_first = self._retry_at is None
            self._retry_at = self._clock() + RETRY_SECONDS
        if is_first:
            error_class = type(error).__name__
            logger.error(
                "rate limits: the storage is unavailable (%s); no request is refused",
                error_class,
                extra={"error": error_class},
            )

    def record_success(self) -> None:
        """Record a success, and log the end of an outage."""
        if self._retry_at is not None:
            with self._lock:
                is_first = self._retry_at is not None
                self._retry_at = None
            if is_first:
                logger.warning("rate limits: the storage is available again", extra={"seconds": RETRY_SECONDS})


def find_limiter(mount: Mount) -> Limiter | None:
    """Return the limiter that counts for `mount`: the host's, else a private one.

    Returns None if the host disabled Flask-Limiter without registering one.
    """
    with mount.in_host():
        host_limiter = find_host_limiter(mount)
        if host_limiter is not None:
            return host_limiter
        if not current_app.config.get(LIMITER_ENABLED_KEY, True):
            return None
    return _make_private_limiter(mount.config.rate_limit_storage)


def find_host_limiter(mount: Mount) -> Limiter | None:
    """Return the host's limiter, or None; of several, the one whose key prefix sorts first."""
    with mount.in_host():
        registered = current_app.extensions.get(LIMITER_EXTENSION)
    if not registered:
        return None
    limiters = registered if isinstance(registered, set) else [registered]
    return min(limiters, key=get_key_prefix, default=None)


def get_key_prefix(limiter: Limiter) -> str:
    """Return the prefix of a limiter's keys, for which Flask-Limiter has no public attribute."""
    return limiter._key_prefix or ""


def _make_private_limiter(url: str) -> Limiter:
    """Make a limiter on a private app that serves no requests, so that the hooks of its `init_app` never run."""
    from flask_limiter import Limiter

    app = Flask(__name__, static_folder=None)
    return Limiter(
        _refuse_key_function,
        app=app,
        storage_uri=url,
        storage_options=_make_timeout_options(url),
        strategy="fixed-window",
    )


def _refuse_key_function() -> str:
    """The key function of the private limiter; never called, since its app serves no requests."""
    raise RuntimeError("the private limiter has no requests of its own")


def _make_timeout_options(url: str) -> dict[str, Any]:
    """Return driver options that limit each wait of the storage to `STORAGE_TIMEOUT_SECONDS`."""
    scheme = urlsplit(url).scheme
    if scheme.startswith(("redis", "valkey")):
        return {"socket_timeout": STORAGE_TIMEOUT_SECONDS, "socket_connect_timeout": STORAGE_TIMEOUT_SECONDS}
    if scheme.startswith("memcached"):
        return {"timeout": STORAGE_TIMEOUT_SECONDS, "connect_timeout": STORAGE_TIMEOUT_SECONDS}
    if scheme.startswith("mongodb"):
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        return dict.fromkeys(names, int(STORAGE_TIMEOUT_SECONDS * 1000))
    return {}
