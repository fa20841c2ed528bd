"""Send requests to a rate-limited host, and read the headers."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Response

from tests.support.callers import Caller
from tests.support.rate_limits.clocked_storage import hand as hand


def read_rate_limit_headers(response: Response) -> tuple[str | None, str | None, str | None]:
    """Return the rate limit headers of a response."""
    return tuple(response.headers.get(name) for name in ("RateLimit", "RateLimit-Policy", "Retry-After"))  # type: ignore[return-value]


def send_requests(caller: Caller, count: int, method: str = "GET", path: str = "/tenants", **options: Any) -> list[int]:
    """The status of each of so many requests."""
    return [caller(method, path, **options).status_code for _ in range(count)]


HOSTILE_PARTNER_IDS = (
    "a/b",
    "a/b/1/1/hour",
    "x" * 255,
    "x" * 254 + "y",
    "ä",
    "a b",
    "a:b",
    "sha256:" + "0" * 64,
    "*",
    "{a}",
)
