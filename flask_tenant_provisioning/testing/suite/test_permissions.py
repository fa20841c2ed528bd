"""Roles: each has exactly the permissions that the operations declare."""

from __future__ import annotations

import re
from typing import Any

import pytest

from flask_tenant_provisioning.routes import ROUTES
from flask_tenant_provisioning.testing.callers import TENANTS, Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import ApiResponse
from flask_tenant_provisioning.web.routing import Route

NEVER = "01890000-0000-7000-8000-000000000000"
GUARDED = [route for route in ROUTES if isinstance(route.permissions, tuple)]

guarded = pytest.mark.parametrize("route", GUARDED, ids=lambda route: f"{route.method} {route.rule}")


def send_request(partner: Caller, route: Route, role: str | None, **claims: Any) -> ApiResponse:
    """Return the response of `route` to a caller in `role` who names a missing resource, or sends nothing."""
    path = re.sub("<[^>]+>", NEVER, route.rule)
    return partner.api(route.method, path, headers=partner.make_role_header(role, **claims))


def require_denied(response: ApiResponse, route: Route, partner: Caller) -> None:
    """Demand the refusal that names the required permissions."""
    response.problem(403, "insufficient-permission", required=[*route.permissions])  # type: ignore[misc]
    scope = " ".join(route.permissions)  # type: ignore[arg-type]
    challenge = f'Bearer realm="{partner.api.config.realm}", error="insufficient_scope", scope="{scope}"'
    response.require(response.header("WWW-Authenticate") == challenge, f"challenge with {challenge}")


def require_admitted(response: ApiResponse, route: Route, who: str) -> None:
    """Demand that `who` was admitted; the operation itself may need more, such as that of a bulk job."""
    needed = {*route.permissions}  # type: ignore[misc]
    is_denied = response.status == 403 and not needed.isdisjoint(response.json().get("required", needed))
    response.require(response.status != 401 and not is_denied, f"let {who} pass")


def find_granting_role(partner: Caller, route: Route) -> str:
    """The first role that may call `route`, an administrator's perhaps. Skips without one."""
    needed = {*route.permissions}  # type: ignore[misc]
    for role, granted in partner.api.config.roles.items():
        if needed <= {*granted}:
            return role
    return pytest.skip(f"no role grants {' and '.join(sorted(needed))}")


@guarded
def test_each_role_opens_the_routes_it_grants(provisioning_partner: Caller, route: Route) -> None:
    for role, granted in provisioning_partner.api.config.roles.items():
        response = send_request(provisioning_partner, route, role)
        if {*route.permissions} <= {*granted}:  # type: ignore[misc]
            require_admitted(response, route, f"the role {role}")
        else:
            require_denied(response, route, provisioning_partner)


@guarded
@pytest.mark.parametrize("role", [None, "no-such-role"])
def test_without_a_role_nothing_may_be_done(provisioning_partner: Caller, route: Route, role: str | None) -> None:
    require_denied(send_request(provisioning_partner, route, role), route, provisioning_partner)


@guarded
def test_the_permissions_of_a_token_narrow_its_role(provisioning_partner: Caller, route: Route) -> None:
    claim = provisioning_partner.api.config.permissions_claim
    if claim is None:
        pytest.skip("PROVISIONING_PERMISSIONS_CLAIM is None: no claim narrows a role")
    role = find_granting_role(provisioning_partner, route)
    narrowings: tuple[Any, ...] = ([], None, "audit:read", 7)
    for narrowed in narrowings:
        require_denied(
            send_request(provisioning_partner, route, role, **{claim: narrowed}), route, provisioning_partner
        )
    response = send_request(provisioning_partner, route, role, **{claim: " ".join(route.permissions)})  # type: ignore[arg-type]
    require_admitted(response, route, " and ".join(route.permissions))  # type: ignore[arg-type]


def test_a_claim_adds_no_permission(provisioning_partner: Caller) -> None:
    claim = provisioning_partner.api.config.permissions_claim or "permissions"
    headers = provisioning_partner.make_role_header(None, **{claim: ["tenant:create", "tenant:read"]})
    provisioning_partner.api("GET", TENANTS, headers=headers).problem(403, "insufficient-permission")


def test_permission_is_asked_before_anything_else(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    headers = {**provisioning_partner.make_role_header(None), "If-Match": '"0"', "Accept": "text/html"}
    for path in (get_tenant_path(tenant), get_tenant_path({"tenant": NEVER}), get_tenant_path({"tenant": "no id"})):
        response = provisioning_partner.api("PATCH", f"{path}?colour=red", body=b"{", headers=headers)
        response.problem(403, "insufficient-permission")
