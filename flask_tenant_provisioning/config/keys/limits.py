"""How many requests partners may send, and where they are counted."""

from __future__ import annotations

from ..declaring import key
from ..rates import MEMORY, rates_by_class, storage_url


class LimitKeys:
    """Rate limits, which need the extra `limiter`."""

    rate_limits: dict[str, str] = key(
        None,
        "How many requests each partner may send to each class of routes (`read`, `write`, `bulk`), for example "
        "`{'read': '600/minute', 'write': '10/second;120/minute'}`; a class that is not named has no limit.",
        rates_by_class,
    )
    rate_limit_storage: str = key(
        MEMORY,
        "Where they are counted, as a URL of `limits`: `memory://` counts in each process by itself, Redis for all of "
        "them. Without effect where the app has a `Limiter` of its own, whose storage counts.",
        storage_url,
        secret=True,
    )
