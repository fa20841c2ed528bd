"""Rate limits: how many requests each partner may send, counted by Flask-Limiter.

`enforce_rate_limit` counts a request. Headers follow draft-ietf-httpapi-ratelimit-headers-10. While the storage of the
counts does not answer, no request is counted and none refused.
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
from .config_checks import parse_rate_limits
from .errors import RateLimited
from .hooks import require_result
from .mount import Mount

if TYPE_CHECKING:
    from flask_limiter import Limiter
    from limits import RateLimitItem
    from limits.strategies import RateLimiter


def enforce_rate_limit(mount: Mount, rate_class: str | None, principal: Principal) -> None:
    """Count this request, where its class has limits. Raises `RateLimited` where its partner has none left."""
    if rate_class is None or not mount.has_rate_limit(rate_class):
        return
    spent = get_request_counter(mount).spend(principal.partner, rate_class)
    if spent is None:
        return
    after_this_request(partial(_add_headers, spent))
    if (empty := spent.exhausted) is not None:
        policy = empty.policy
        raise make_rate_limited_error(policy.name, most=policy.item.amount, window=policy.window, wait=empty.reset)


def make_rate_limited_error(policy: str, *, most: int, window: int, wait: int) -> RateLimited:
    """The refusal that says which policy allows no more, and in how many seconds it does again."""
    found = RateLimited(
        f"More than {most} requests in {window} seconds; there are more in {wait}.", headers={"Retry-After": str(wait)}
    )
    found.members["violated-policies"] = [policy]
    return found


def _add_headers(spent: RateLimitResult, answer: Response) -> Response:
    answer.headers.update(spent.headers())
    return answer


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


class PolicyState(NamedTuple):
    """What a partner has left of a policy: requests, until as many as the policy says are there again in seconds."""

    policy: Policy
    remaining: int
    reset: int

    def __str__(self) -> str:
        return f'"{self.policy.name}";r={self.remaining};t={self.reset}'


class RateLimitResult(NamedTuple):
    """One request, counted: every account of its class, and the one that it found empty."""

    accounts: tuple[PolicyState, ...]
    exhausted: PolicyState | None

    def headers(self) -> dict[str, str]:
        """The fields that every answer to it bears."""
        return {
            "RateLimit": ", ".join(map(str, self.accounts)),
            "RateLimit-Policy": ", ".join(str(account.policy) for account in self.accounts),
        }


def parse_policies(rate_class: str, text: str) -> tuple[Policy, ...]:
    """The policies of a class, the one of the shortest window first. Raises `ValueError` for what names no limit."""
    items = parse_rate_limits(text)
    if len(items) == 1:
        return (Policy(rate_class, items[0]),)
    return tuple(Policy(f"{rate_class}-{item.get_expiry()}s", item) for item in items)


_SAFE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class RequestCounter:
    """Counts requests. Where that cannot be done, none is counted and none refused."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._clock = mount.storage.clock
        self._allowances = PolicyLookup(mount)
        self._outage = CircuitBreaker(self._clock)
        self._windows = WindowCounter(self._clock)
        self._looking = threading.Lock()
        self._limiter: tuple[Limiter | None, ...] = ()

    def spend(self, partner: str, rate_class: str) -> RateLimitResult | None:
        """Count one request of the partner's; None where nothing is counted."""
        allowed = self._allowances.of(partner, rate_class)
        if not allowed or not self._outage.over():
            return None
        try:
            found = self._counted(allowed, partner, rate_class)
        except Exception as error:
            self._outage.begins(error)
            return None
        self._outage.ends()
        return found

    @property
    def limiter(self) -> Limiter | None:
        """What counts, as it was found at the first request; None where nothing does."""
        if not self._limiter:
            with self._looking:
                self._limiter = self._limiter or (find_limiter(self._mount),)
        return self._limiter[0]

    def _counted(self, allowed: Policies, partner: str, rate_class: str) -> RateLimitResult | None:
        limiter = self.limiter
        if limiter is None or not limiter.enabled:
            return None
        prefix = filter(None, [get_key_prefix(limiter)])
        key = (*prefix, "provisioning", format_key_part(self._mount.name), rate_class, format_key_part(partner))
        return self._spent(limiter.limiter, allowed, key)

    def _spent(self, strategy: RateLimiter, allowed: Policies, key: tuple[str, ...]) -> RateLimitResult:
        """Count by one policy after the other; those behind one that lets nothing pass are only looked at."""
        accounts: list[PolicyState] = []
        exhausted = None
        for policy in allowed:
            count = self._windows.look if exhausted else self._windows.hit
            found = count(strategy, policy.item, *key)
            accounts.append(self._account(policy, found))
            if exhausted is None and not found.passes:
                exhausted = accounts[-1] = accounts[-1]._replace(remaining=0, reset=max(accounts[-1].reset, 1))
        return RateLimitResult(tuple(accounts), exhausted)

    def _account(self, policy: Policy, count: WindowCount) -> PolicyState:
        # Redis rounds the rest of a window to seconds: half a second more, and no caller comes too early.
        seconds = math.ceil(count.ends - self._clock() + 0.5)
        return PolicyState(policy, min(count.remaining, policy.item.amount), min(max(seconds, 0), policy.window))


def get_request_counter(mount: Mount) -> RequestCounter:
    """What partners have left on `mount`."""
    return mount.once(RequestCounter)


def format_key_part(name: str) -> str:
    """A part of a storage's key: a name as it is where any storage takes it, else its digest, which is no such name."""
    if _SAFE_NAME.fullmatch(name):
        return name
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


logger = logging.getLogger(__name__)
#: For how many seconds a process goes by what the host's function said.
POLICY_CACHE_SECONDS = 60
Policies = tuple[Policy, ...]


class PolicyLookup:
    """The policies of one mount."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._configured = {kind: parse_policies(kind, text) for kind, text in mount.config.rate_limits.items()}
        self._known: TTLCache[tuple[str, str], Policies] = TTLCache(mount.storage.clock, POLICY_CACHE_SECONDS)

    def of(self, partner: str, rate_class: str) -> Policies:
        """What counts for the partner's requests of a class; nothing where they have no limit.

        Administrators whose tokens name no partner ("") share what is configured.
        """
        if self._mount.hooks.rate_limits is None or not partner:
            return self._configured.get(rate_class, ())
        known = self._known.get((partner, rate_class))
        if known is not None:
            return known
        return self._known.renew((partner, rate_class), partial(self._asked, partner, rate_class))

    def _asked(self, partner: str, rate_class: str) -> Policies:
        """What the host's function says; where it fails, what is configured."""
        function, configured = self._mount.hooks.rate_limits, self._configured.get(rate_class, ())
        try:
            with self._mount.in_host():
                said = None if function is None else function(partner, rate_class)
            require_result(said, "The rate_limits function")
            return configured if said is None else parse_policies(rate_class, said)
        except Exception:
            logger.exception(
                "rate_limits(%r, %r) failed: what is configured counts",
                partner,
                rate_class,
                extra={"partner": partner, "rate_class": rate_class},
            )
            return configured


#: The ends of how many windows a process remembers.
_MAX_WINDOWS = 10_000


class WindowCount(NamedTuple):
    """Whether a request was let pass, how many more would be, and when there are as many as ever, since 1970."""

    passes: bool
    remaining: int
    ends: float


class WindowCounter:
    """What one process knows of the windows that it counts in.

    To count, to read and to ask for the end are three questions, each a round trip to Redis. A fixed window says how
    many it has when it counts, and its end stays where it is: that is asked again where a request is refused.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ends: dict[str, float] = {}

    def hit(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> WindowCount:
        """Count a request."""
        from limits.strategies import FixedWindowRateLimiter

        if type(strategy) is not FixedWindowRateLimiter:
            passes = strategy.hit(item, *key)
            return self.look(strategy, item, *key)._replace(passes=passes)
        name = item.key_for(*key)
        count = strategy.storage.incr(name, item.get_expiry())
        ends = self._ends.get(name, 0)
        if not 1 < count <= item.amount or ends <= self._clock():
            ends = self._remembered(name, strategy.storage.get_expiry(name))
        return WindowCount(count <= item.amount, max(item.amount - count, 0), ends)

    def look(self, strategy: RateLimiter, item: RateLimitItem, *key: str) -> WindowCount:
        """How it stands, without counting."""
        ends, remaining = strategy.get_window_stats(item, *key)
        return WindowCount(remaining > 0, max(remaining, 0), ends)

    def _remembered(self, name: str, ends: float) -> float:
        if len(self._ends) >= _MAX_WINDOWS:
            self._ends.clear()
        self._ends[name] = ends
        return ends


#: After how many seconds a storage that was away is asked again.
RETRY_SECONDS = 5


class CircuitBreaker:
    """Whether one process may ask its storage. While it is away one request asks in `RETRY_SECONDS` seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._again: float | None = None

    def over(self) -> bool:
        """Whether to ask: there is no outage, or it is this request's turn to see."""
        if self._again is None:
            return True
        with self._lock:
            now = self._clock()
            if self._again is not None and 0 < self._again - now <= RETRY_SECONDS:
                return False
            self._again = now + RETRY_SECONDS
        return True

    def begins(self, error: Exception) -> None:
        """It did not answer. Said once: the error's own words could hold a password, so its class alone is told."""
        with self._lock:
            first, self._again = self._again is None, self._clock() + RETRY_SECONDS
        if first:
            kind = type(error).__name__
            logger.error(
                "rate limits: the storage does not answer (%s); no request is refused", kind, extra={"error": kind}
            )

    def ends(self) -> None:
        """It answered."""
        if self._again is not None:
            with self._lock:
                over, self._again = self._again is not None, None
            if over:
                logger.warning("rate limits: the storage answers again", extra={"seconds": RETRY_SECONDS})


LIMITER_EXTENSION, LIMITER_ENABLED_KEY = "limiter", "RATELIMIT_ENABLED"
#: For how many seconds a storage of ours may let a request wait for a connection, or for an answer.
STORAGE_TIMEOUT_SECONDS = 0.25


def find_limiter(mount: Mount) -> Limiter | None:
    """The limiter that counts for `mount`; None where the host has turned Flask-Limiter off before it registered."""
    with mount.in_host():
        if (found := find_host_limiter(mount)) is not None:
            return found
        if not current_app.config.get(LIMITER_ENABLED_KEY, True):
            return None
    return _make_private_limiter(mount.config.rate_limit_storage)


def find_host_limiter(mount: Mount) -> Limiter | None:
    """The host's limiter; of several, the one whose key prefix comes first."""
    with mount.in_host():
        found = current_app.extensions.get(LIMITER_EXTENSION) or ()
    every = found if isinstance(found, set) else [found] if found else []
    return min(every, key=get_key_prefix, default=None)


def get_key_prefix(limiter: Limiter) -> str:
    """What its keys begin with; Flask-Limiter offers no other way to it."""
    return limiter._key_prefix or ""


def _make_private_limiter(url: str) -> Limiter:
    """A limiter of a private app, which serves nothing: what `init_app` hooks into it never runs."""
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
    """Whom a request comes from: not asked, since no request comes to a private app."""
    raise RuntimeError("a limiter of ours counts only what it is told")


def _make_timeout_options(url: str) -> dict[str, Any]:
    """The options with which a storage's driver waits no longer than `STORAGE_TIMEOUT_SECONDS` at a time."""
    scheme = urlsplit(url).scheme
    if scheme.startswith(("redis", "valkey")):
        return {"socket_timeout": STORAGE_TIMEOUT_SECONDS, "socket_connect_timeout": STORAGE_TIMEOUT_SECONDS}
    if scheme.startswith("memcached"):
        return {"timeout": STORAGE_TIMEOUT_SECONDS, "connect_timeout": STORAGE_TIMEOUT_SECONDS}
    if scheme.startswith("mongodb"):
        names = ("serverSelectionTimeoutMS", "connectTimeoutMS", "socketTimeoutMS")
        return dict.fromkeys(names, int(STORAGE_TIMEOUT_SECONDS * 1000))
    return {}
