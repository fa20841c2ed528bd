"""`GET /tenants/{id}`: the tenant, its ETag, and invalid ids."""

from __future__ import annotations

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path

NO_IDS = (
    "01890000-0000-7000-8000-000000000000",
    "1",
    "x" * 300,
    "%00",
    "'%20OR%20'1'='1",
    "%D9%A1890000-0000-7000-8000-000000000000",
    "{01890000-0000-7000-8000-000000000000}",
)


def test_get_returns_the_created_tenant(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("GET", get_tenant_path(tenant))
    response.require(response.tenant() == tenant, "show the tenant as its creation did")


def test_an_id_may_be_spelled_in_capitals(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("GET", get_tenant_path({"tenant": tenant["tenant"].upper()}))
    response.require(response.tenant() == tenant, "show the tenant")


@pytest.mark.parametrize("text", NO_IDS, ids=lambda text: text[:40])
def test_absent_tenant_is_not_found(provisioning_partner: Caller, text: str) -> None:
    provisioning_partner("GET", f"/tenants/{text}").problem(404, "tenant-not-found")


def test_head_answers_as_get_without_the_body(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    full, headed = (
        provisioning_partner("GET", get_tenant_path(tenant)),
        provisioning_partner("HEAD", get_tenant_path(tenant)),
    )
    headed.expect(200).require(not headed.body, "answer without a body")
    headed.require(headed.header("ETag") == full.header("ETag"), "answer with the ETag of GET")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"0", {}', "*"])
def test_current_version_returns_304(provisioning_partner: Caller, form: str) -> None:
    tenant = provisioning_partner.create()
    etag = provisioning_partner("GET", get_tenant_path(tenant)).header("ETag")
    response = provisioning_partner("GET", get_tenant_path(tenant), headers={"If-None-Match": form.format(etag)})
    response.expect(304).require(not response.body, "answer without a body")
    response.require(response.header("ETag") == etag, "name the version in its ETag")


@pytest.mark.parametrize("header", ['"0"', "1", "", '"unterminated'])
def test_other_version_returns_the_tenant(provisioning_partner: Caller, header: str) -> None:
    tenant = provisioning_partner.create()
    response = provisioning_partner("GET", get_tenant_path(tenant), headers={"If-None-Match": header})
    response.require(response.tenant() == tenant, "show the tenant")
