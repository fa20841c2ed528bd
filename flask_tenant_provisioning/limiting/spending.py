"""A request is counted against its partner's rate limits, and its answer says what is left."""

from __future__ import annotations

from functools import partial

from flask import Response, after_this_request

from ..access import Principal
from ..problems import RateLimited
from ..web.mount import Mount
from .budgets import budgets
from .policies import Spent


def spend(mount: Mount, rate_class: str | None, principal: Principal) -> None:
    """Count this request, where its class has limits. Raises `RateLimited` where its partner has none left."""
    if rate_class is None or not mount.limits(rate_class):
        return
    spent = budgets(mount).spend(principal.partner, rate_class)
    if spent is None:
        return
    after_this_request(partial(_told, spent))
    if (empty := spent.exhausted) is not None:
        policy = empty.policy
        raise exhausted(policy.name, most=policy.item.amount, window=policy.window, wait=empty.reset)


def exhausted(policy: str, *, most: int, window: int, wait: int) -> RateLimited:
    """The refusal that says which policy allows no more, and in how many seconds it does again."""
    found = RateLimited(
        f"More than {most} requests in {window} seconds; there are more in {wait}.", headers={"Retry-After": str(wait)}
    )
    found.members["violated-policies"] = [policy]
    return found


def _told(spent: Spent, answer: Response) -> Response:
    answer.headers.update(spent.headers())
    return answer
