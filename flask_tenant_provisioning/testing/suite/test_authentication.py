"""Authentication: refused tokens, and their challenges (RFC 6750, RFC 8725)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing import forged_tokens
from flask_tenant_provisioning.testing.api import MountedApi
from flask_tenant_provisioning.testing.callers import TENANTS, Caller, make_bearer_header
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.routing import Route

GUARDED = [route for route in ROUTES if not route.public]
NEVER = "01890000-0000-7000-8000-000000000000"
NO_CREDENTIALS = ("", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Token abc", "{token}")
GARBAGE = ("x", "a.b.c", "{token}x", "{token}=", "{token}.x", "{token} x", "{token},Bearer {token}", "x" * 10_000, "é")
HOUR = 3600


def require_refusal(response: ApiResponse, code: str, api: MountedApi) -> None:
    """Demand this refusal, with the challenge that belongs to it."""
    response.problem(401, code)
    bare = f'Bearer realm="{api.config.realm}"'
    challenge = bare if code == "authentication-required" else f'{bare}, error="invalid_token"'
    response.require(response.header("WWW-Authenticate") == challenge, f"challenge with {challenge}")


def send_token(partner: Caller, token: str) -> ApiResponse:
    """The answer to a request with this token."""
    return partner.api("GET", TENANTS, headers=make_bearer_header(token))


@pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.rule}")
def test_missing_token_is_refused(provisioning_api: MountedApi, route: Route) -> None:
    path = re.sub("<[^>]+>", NEVER, route.rule)
    require_refusal(provisioning_api(route.method, path), "authentication-required", provisioning_api)


@pytest.mark.parametrize("form", NO_CREDENTIALS)
def test_other_authorization_schemes_are_ignored(provisioning_partner: Caller, form: str) -> None:
    header = form.format(token=provisioning_partner.token("tenant:read"))
    response = provisioning_partner.api("GET", TENANTS, headers={"Authorization": header})
    require_refusal(response, "authentication-required", provisioning_partner.api)


@pytest.mark.parametrize("form", GARBAGE, ids=lambda form: form[:24])
def test_garbage_is_no_token(provisioning_partner: Caller, form: str) -> None:
    token = form.format(token=provisioning_partner.token("tenant:read"))
    response = send_token(provisioning_partner, token)
    require_refusal(response, "invalid-token", provisioning_partner.api)


def test_the_scheme_may_be_spelled_anyhow(provisioning_partner: Caller) -> None:
    token = provisioning_partner.token("tenant:read")
    for scheme in ("bearer", "BEARER"):
        provisioning_partner.api("GET", TENANTS, headers={"Authorization": f"{scheme} {token}"}).expect(200)


@pytest.mark.parametrize("spelling", ["none", "None", "NONE", "nOnE", ""])
def test_a_token_needs_a_signature(provisioning_partner: Caller, spelling: str) -> None:
    parts = forged_tokens.TokenParts.parse(provisioning_partner.token("tenant:read"))
    require_refusal(
        send_token(provisioning_partner, forged_tokens.make_unsigned(parts, spelling)),
        "invalid-token",
        provisioning_partner.api,
    )


def test_another_key_signs_nothing(provisioning_partner: Caller) -> None:
    parts = forged_tokens.TokenParts.parse(provisioning_partner.token("tenant:read"))
    require_refusal(
        send_token(provisioning_partner, forged_tokens.sign_with_another_key(parts)),
        "invalid-token",
        provisioning_partner.api,
    )


def test_a_public_key_is_no_secret(provisioning_partner: Caller) -> None:
    public = provisioning_partner.api.mount.app.config.get("JWT_PUBLIC_KEY")
    if not isinstance(public, str):
        pytest.skip("the app's settings name no public key")
    parts = forged_tokens.TokenParts.parse(provisioning_partner.token("tenant:read"))
    forged = forged_tokens.sign_with_public_key(parts, public)
    require_refusal(send_token(provisioning_partner, forged), "invalid-token", provisioning_partner.api)


@pytest.mark.parametrize("change", ["partner", "roles", "exp", "header"])
def test_changed_token_is_refused(provisioning_partner: Caller, change: str) -> None:
    settings = provisioning_partner.api.config
    parts = forged_tokens.TokenParts.parse(provisioning_partner.token("tenant:read"))
    changed = {
        "partner": parts.with_claims(**{settings.partner_claim: "somebody-else"}),
        "roles": parts.with_claims(**{settings.roles_claim: [*settings.roles]}),
        "exp": parts.with_claims(exp=int(time.time()) + 100 * HOUR),
        "header": parts.with_header(jku="https://example.com/keys"),
    }[change]
    require_refusal(send_token(provisioning_partner, changed.encode_token()), "invalid-token", provisioning_partner.api)


def test_an_expired_token_says_so(provisioning_partner: Caller) -> None:
    token = provisioning_partner.token("tenant:read", exp=int(time.time()) - HOUR)
    require_refusal(send_token(provisioning_partner, token), "token-expired", provisioning_partner.api)


INCOMPLETE: dict[str, Callable[[], dict[str, Any]]] = {
    "not yet valid": lambda: {"nbf": int(time.time()) + HOUR},
    "a refresh token": lambda: {"type": "refresh"},
    "no exp": lambda: {"exp": None},
    "exp is text": lambda: {"exp": "tomorrow"},
    "no sub": lambda: {"sub": None},
    "sub is a number": lambda: {"sub": 7},
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_a_token_is_for_access_and_complete(provisioning_partner: Caller, case: str) -> None:
    token = provisioning_partner.token("tenant:read", **INCOMPLETE[case]())
    require_refusal(send_token(provisioning_partner, token), "invalid-token", provisioning_partner.api)


@pytest.mark.parametrize("partner", [None, 7, "", " ", [], {}, "x" * 256, "a\nb"], ids=lambda value: repr(value)[:20])
def test_a_partner_is_a_name(provisioning_partner: Caller, partner: Any) -> None:
    claim = provisioning_partner.api.config.partner_claim
    token = provisioning_partner.token("tenant:read", **{claim: partner})
    require_refusal(send_token(provisioning_partner, token), "invalid-token", provisioning_partner.api)


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "a cookie": lambda token: {"headers": {"Cookie": f"access_token_cookie={token}"}},
    "another header": lambda token: {"headers": {"X-Authorization": f"Bearer {token}"}},
    "the body": lambda token: {"json": {"access_token": token}},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_token_stands_in_no_other_place(provisioning_partner: Caller, place: str) -> None:
    place_options = PLACES[place](provisioning_partner.token("tenant:create"))
    require_refusal(
        provisioning_partner.api("POST", TENANTS, **place_options), "authentication-required", provisioning_partner.api
    )


@pytest.mark.parametrize("name", ["jwt", "access_token", "token"])
def test_token_in_the_query_is_ignored(provisioning_partner: Caller, name: str) -> None:
    path = f"{TENANTS}?{name}={provisioning_partner.token('tenant:read')}"
    require_refusal(provisioning_partner.api("GET", path), "authentication-required", provisioning_partner.api)


def test_a_refusal_shows_nothing_of_the_token(provisioning_partner: Caller) -> None:
    parts = forged_tokens.TokenParts.parse(provisioning_partner.token("tenant:read")).with_claims(sub="mallory-4711")
    response = send_token(provisioning_partner, parts.encode_token())
    require_refusal(response, "invalid-token", provisioning_partner.api)
    leaked = "mallory-4711" in repr(response) or parts.signature in repr(response)
    response.require(not leaked, "show nothing of the token that it refuses")
