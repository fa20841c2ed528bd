"""Rate limits, where the host has any: responses show the rest, and unauthenticated requests cost nothing."""

from __future__ import annotations

import re

from flask_tenant_provisioning.testing.api import MountedApi
from flask_tenant_provisioning.testing.callers import TENANTS, Caller
from flask_tenant_provisioning.testing.responses import ApiResponse

_LEFT = re.compile(r'"[a-z0-9-]+";r=([0-9]+);t=[0-9]+')
_ALLOWED = re.compile(r'"[a-z0-9-]+";q=([0-9]+);w=[0-9]+')


def read_remaining(response: ApiResponse) -> list[int]:
    """Return the remaining requests of each limit, as a response states them."""
    __tracebackhide__ = True
    matches = [re.fullmatch(_LEFT, limit) for limit in response.header("RateLimit").split(", ")]
    response.require(all(matches), 'say what is left in RateLimit, such as "read";r=119;t=60')
    return [int(match[1]) for match in matches if match]


def test_response_shows_the_rate_limit_and_the_remaining_requests(provisioning_partner: Caller) -> None:
    provisioning_partner.api.require_rate_limits("read")
    response = provisioning_partner("GET", TENANTS).expect(200)
    allowed = [re.fullmatch(_ALLOWED, policy) for policy in response.header("RateLimit-Policy").split(", ")]
    response.require(all(allowed), 'say what is allowed in RateLimit-Policy, such as "read";q=120;w=60')
    most = [int(match[1]) for match in allowed if match]
    fits = len(read_remaining(response)) == len(most) and all(map(int.__lt__, read_remaining(response), most))
    response.require(fits, "have less left than is allowed")


def test_unauthenticated_request_is_not_counted(provisioning_partner: Caller, provisioning_api: MountedApi) -> None:
    provisioning_api.require_rate_limits("read")
    before = read_remaining(provisioning_partner("GET", TENANTS).expect(200))
    refused = provisioning_api("GET", TENANTS).expect(401)
    refused.require("RateLimit" not in refused.headers, "send no rate-limit headers without a caller")
    response = provisioning_partner("GET", TENANTS).expect(200)
    response.require(
        all(now >= most - 1 for now, most in zip(read_remaining(response), before, strict=True)), "have one less left"
    )
