"""What partners have left of their rate limits on one mount."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from typing import TYPE_CHECKING

from ..web.mount import Mount
from .allowances import Allowances, Policies
from .limiters import limiter_of, prefix_of
from .outages import Outage
from .policies import Account, Policy, Spent

if TYPE_CHECKING:
    from flask_limiter import Limiter
    from limits.strategies import RateLimiter

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")
_Key = tuple[str, ...]


class Budgets:
    """Counts requests. Where that cannot be done, none is counted and none refused."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._clock = mount.storage.clock
        self._allowances = Allowances(mount)
        self._outage = Outage(self._clock)
        self._looking = threading.Lock()
        self._limiter: tuple[Limiter | None, ...] = ()

    def spend(self, partner: str, rate_class: str) -> Spent | None:
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
                self._limiter = self._limiter or (limiter_of(self._mount),)
        return self._limiter[0]

    def _counted(self, allowed: Policies, partner: str, rate_class: str) -> Spent | None:
        limiter = self.limiter
        if limiter is None or not limiter.enabled:
            return None
        strategy, prefix = limiter.limiter, prefix_of(limiter)
        key = (*filter(None, [prefix]), "provisioning", named(self._mount.name), rate_class, named(partner))
        exhausted = next((policy for policy in allowed if not strategy.hit(policy.item, *key)), None)
        accounts = tuple(self._account(strategy, policy, key, policy is exhausted) for policy in allowed)
        return Spent(accounts, next((found for found in accounts if found.policy is exhausted), None))

    def _account(self, strategy: RateLimiter, policy: Policy, key: _Key, exhausted: bool) -> Account:
        reset, remaining = strategy.get_window_stats(policy.item, *key)
        # Redis rounds the rest of a window to seconds: half a second more, and no caller comes too early.
        seconds = math.ceil(reset - self._clock() + 0.5)
        left = 0 if exhausted else min(max(remaining, 0), policy.item.amount)
        return Account(policy, left, min(max(seconds, int(exhausted)), policy.window))


def named(name: str) -> str:
    """A part of a storage's key: a name as it is where any storage takes it, else its digest, which is no such name."""
    if _PLAIN.fullmatch(name):
        return name
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
