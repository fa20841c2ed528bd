"""`doctor` on the current tenant: who can choose it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Request
from flask_jwt_extended import JWTManager

from flask_tenant_provisioning.isolation import Claim, Header, SessionKey, Subdomain
from tests.support.doctor import run_doctor
from tests.support.isolation import TenantHost

pytestmark = pytest.mark.one_database("says nothing of the database")


def check(database_url: str, *resolvers: Any, has_manager: bool = True) -> tuple[str, str, str]:
    host = TenantHost(database_url)
    host.provisioning.isolation.resolve_by(*resolvers)
    if has_manager:
        JWTManager(host.app)
    host.provisioning.init_app(host.app, database_url)
    finding = run_doctor(host.app)["isolation"]
    host.close()
    return finding


def test_resolvers_are_listed_in_their_order(database_url: str) -> None:
    def by_plan(request: Request) -> str | None:
        return None

    found = check(database_url, Subdomain("example.com"), Claim("tenant"), by_plan)
    assert found == ("ok", "requests name their tenant by Subdomain('example.com'), Claim('tenant'), by_plan", "")


def test_a_header_that_every_client_can_send_is_a_warning(database_url: str) -> None:
    advice = "let the proxy set it and drop what clients send, and name a Claim or SessionKey besides"
    detail = "requests name their tenant by Header('X-Tenant-ID'): every client can send the header X-Tenant-ID"
    assert check(database_url, Header("X-Tenant-ID")) == ("warn", detail, advice)
    assert check(database_url, Header("X-Tenant-ID"), SessionKey("tenant"))[0] == "ok"


def test_claims_need_a_manager(database_url: str) -> None:
    host = TenantHost(database_url, PROVISIONING_MOUNT="isolated")
    host.provisioning.isolation.resolve_by(Claim("tenant"))
    host.provisioning.init_app(host.app, database_url)
    finding = run_doctor(host.app)["isolation"]
    assert finding == (
        "fail",
        "requests name their tenant by Claim('tenant'), and the app has no JWTManager",
        "call JWTManager(app)",
    )
    host.close()
