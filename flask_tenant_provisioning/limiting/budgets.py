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
from .windows import Count, Windows

if TYPE_CHECKING:
    from flask_limiter import Limiter
    from limits.strategies import RateLimiter

_PLAIN = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Budgets:
    """Counts requests. Where that cannot be done, none is counted and none refused."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._clock = mount.storage.clock
        self._allowances = Allowances(mount)
        self._outage = Outage(self._clock)
        self._windows = Windows(self._clock)
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
        prefix = filter(None, [prefix_of(limiter)])
        key = (*prefix, "provisioning", named(self._mount.name), rate_class, named(partner))
        return self._spent(limiter.limiter, allowed, key)

    def _spent(self, strategy: RateLimiter, allowed: Policies, key: tuple[str, ...]) -> Spent:
        """Count by one policy after the other; those behind one that lets nothing pass are only looked at."""
        accounts: list[Account] = []
        exhausted = None
        for policy in allowed:
            count = self._windows.look if exhausted else self._windows.hit
            found = count(strategy, policy.item, *key)
            accounts.append(self._account(policy, found))
            if exhausted is None and not found.passes:
                exhausted = accounts[-1] = accounts[-1]._replace(remaining=0, reset=max(accounts[-1].reset, 1))
        return Spent(tuple(accounts), exhausted)

    def _account(self, policy: Policy, count: Count) -> Account:
        # Redis rounds the rest of a window to seconds: half a second more, and no caller comes too early.
        seconds = math.ceil(count.ends - self._clock() + 0.5)
        return Account(policy, min(count.remaining, policy.item.amount), min(max(seconds, 0), policy.window))


def budgets(mount: Mount) -> Budgets:
    """What partners have left on `mount`."""
    return mount.once(Budgets)


def named(name: str) -> str:
    """A part of a storage's key: a name as it is where any storage takes it, else its digest, which is no such name."""
    if _PLAIN.fullmatch(name):
        return name
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
