"""`If-Match` and `If-None-Match` on writes: optimistic locking (RFC 9110 §13)."""

from __future__ import annotations

from typing import Any

import pytest

from flask_tenant_provisioning.testing.callers import Caller, get_tenant_path
from flask_tenant_provisioning.testing.responses import PACKED, ApiResponse
from flask_tenant_provisioning.web.headers import format_etag

WRITES = ("PATCH", "PUT", "DELETE", "POST /suspend", "POST /reactivate", "POST /restore")
FAILING = ('"0"', '"999"', "W/{}", '"0", W/{}', "1", "", '"unterminated')
PASSING = ("{}", '"0", {}', "*", " {} ")

writes = pytest.mark.parametrize("write", WRITES)


def prepare(partner: Caller, write: str) -> dict[str, Any]:
    """A tenant that the write changes."""
    tenant = partner.create()
    if write == "POST /restore":
        return partner.delete(tenant)
    return partner.write("POST", tenant, "/suspend").tenant() if write == "POST /reactivate" else tenant


def send_conditional(
    partner: Caller, tenant: dict[str, Any], write: str, header: str | None, name: str = "If-Match"
) -> ApiResponse:
    """The answer to the write under this header, and no other."""
    method, _, action = write.partition(" ")
    content: dict[str, Any] = {
        "PATCH": {"json": {"client_name": partner.body()["client_name"]}},
        "PUT": {"json": partner.body()},
    }
    headers = {} if header is None else {name: header}
    return partner(method, get_tenant_path(tenant) + action, headers=headers, **content.get(method, {}))


@writes
def test_a_write_to_another_version_fails(provisioning_partner: Caller, write: str) -> None:
    tenant = prepare(provisioning_partner, write)
    response = send_conditional(provisioning_partner, tenant, write, '"0"')
    response.problem(412, "precondition-failed")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


@writes
def test_a_write_to_this_version_succeeds(provisioning_partner: Caller, write: str) -> None:
    if write == "DELETE":
        provisioning_partner.api.require_retention()
    tenant = prepare(provisioning_partner, write)
    response = send_conditional(provisioning_partner, tenant, write, f'"{tenant["version"]}"')
    response.require(response.tenant()["version"] == tenant["version"] + 1, "count one version more")


@pytest.mark.parametrize("header", FAILING)
def test_if_match_compares_strongly(provisioning_partner: Caller, header: str) -> None:
    tenant = provisioning_partner.create()
    named = header.format(f'"{tenant["version"]}"') if "{}" in header else header
    send_conditional(provisioning_partner, tenant, "PATCH", named).problem(412, "precondition-failed")


@pytest.mark.parametrize("header", PASSING)
def test_if_match_takes_a_list_and_a_star(provisioning_partner: Caller, header: str) -> None:
    tenant = provisioning_partner.create()
    send_conditional(provisioning_partner, tenant, "PATCH", header.format(f'"{tenant["version"]}"')).tenant()


def test_if_none_match_excludes_a_version(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    headers = {"If-None-Match": f'"{tenant["version"]}"'}
    response = provisioning_partner.write("PATCH", tenant, json={"client_name": "x"}, headers=headers)
    response.problem(412, "precondition-failed")


def test_first_writer_with_one_etag_wins(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    etag = f'"{tenant["version"]}"'
    first = send_conditional(provisioning_partner, tenant, "PATCH", etag).tenant()
    second = send_conditional(provisioning_partner, tenant, "PATCH", etag)
    second.problem(412, "precondition-failed")
    second.require(provisioning_partner.read(tenant) == first, "leave what the first wrote")


@writes
def test_a_write_without_if_match_is_taken_or_refused_as_the_host_says(
    provisioning_partner: Caller, write: str
) -> None:
    if write == "DELETE":
        provisioning_partner.api.require_retention()
    tenant = prepare(provisioning_partner, write)
    response = send_conditional(provisioning_partner, tenant, write, None)
    if not provisioning_partner.api.config.require_if_match:
        response.tenant()
        return
    response.problem(428, "precondition-required")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_the_precondition_of_a_purge_counts(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create()
    administrator = provisioning_partner.administrator()
    path = f"{get_tenant_path(tenant)}?purge=true"
    response = administrator("DELETE", path, headers={"If-Match": '"0"'}, also=["tenant:purge"])
    response.problem(412, "precondition-failed")
    response.require(provisioning_partner.read(tenant) == tenant, "leave the tenant as it was")


def test_etag_of_a_compressed_response_is_the_version(provisioning_partner: Caller) -> None:
    tenant = provisioning_partner.create(metadata={f"note{number}": "x" * 400 for number in range(5)})
    response = provisioning_partner("GET", get_tenant_path(tenant), headers={"Accept-Encoding": "gzip"}).expect(200)
    response.require(
        response.header("ETag") == format_etag(tenant["version"]), "answer with the version in the ETag", PACKED
    )
    response.require(response.tenant() == tenant, "show the tenant as it is")
