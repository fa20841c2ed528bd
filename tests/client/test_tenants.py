"""Tenants through the client, over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tenant_provisioning_client import PreconditionFailed, TenantNotFound
from tests.support.callers import Caller
from tests.support.client.connections import Connections
from tests.support.client.faulty_server import FaultyServer
from tests.support.client.hosts import ClientHost

DAY = timedelta(days=1)
CORP = {"client_name": "Example Corp", "email": "admin@example.com"}


def test_a_created_tenant_is_returned_as_the_api_has_it(client: Any, caller: Caller) -> None:
    tenant = client.tenants.create(**CORP, metadata={"tier": "gold"}, seats=5)
    document = caller("GET", f"/tenants/{tenant.tenant}").get_json()
    assert (tenant.status, tenant.version, tenant.client_name, tenant.phone_number) == (
        "active",
        1,
        "Example Corp",
        None,
    )
    assert (tenant.metadata, tenant["seats"], tenant["region"]) == ({"tier": "gold"}, 5, None)
    assert "seats" in tenant
    assert "nothing" not in tenant
    shown = {**tenant.to_dict(), "created_at": document["created_at"], "updated_at": document["updated_at"]}
    assert shown == document
    assert client.tenants.get(tenant) == tenant == client.tenants.get(tenant.tenant)


def test_an_update_changes_what_is_given_and_clears_what_is_none(client: Any) -> None:
    tenant = client.tenants.create(**CORP, industry="Arts", plan="gold", metadata={"a": "1", "b": "2"}, region="eu")
    changed = client.tenants.update(tenant, industry=None, metadata={"a": None, "c": "3"}, region="us")
    assert (changed.industry, changed.plan, changed.metadata, changed["region"], changed.version) == (
        None,
        "gold",
        {"b": "2", "c": "3"},
        "us",
        2,
    )


def test_a_change_of_an_outdated_object_is_refused_and_says_what_to_do(client: Any) -> None:
    old = client.tenants.create(**CORP)
    new = client.tenants.update(old, industry="Arts")
    with pytest.raises(PreconditionFailed, match="Read it again with `get`") as refused:
        client.tenants.update(old, industry="Finance")
    assert refused.value.code == "precondition-failed"
    for change in (client.tenants.suspend, client.tenants.delete):
        with pytest.raises(PreconditionFailed):
            change(old)
    assert client.tenants.get(old) == new
    assert client.tenants.update(old.tenant, industry="Finance").industry == "Finance", "an id knows no version"


def test_a_replacement_clears_what_is_not_given(client: Any) -> None:
    tenant = client.tenants.create(**CORP, industry="Arts")
    replaced = client.tenants.replace(tenant, client_name="Other", email="other@example.com")
    assert (replaced.client_name, replaced.industry, replaced.version) == ("Other", None, 2)


def test_an_upsert_creates_replaces_and_leaves_alone(client: Any) -> None:
    tenant = client.tenants.upsert("crm/47 11", **CORP)
    assert client.tenants.upsert("crm/47 11", **CORP) == tenant
    replaced = client.tenants.upsert("crm/47 11", **{**CORP, "client_name": "Other"}, version=tenant)
    assert (replaced.tenant, replaced.version, replaced.external_id) == (tenant.tenant, 2, "crm/47 11")
    with pytest.raises(PreconditionFailed):
        client.tenants.upsert("crm/47 11", **CORP, version=tenant)


def test_a_tenant_goes_through_its_life(client: Any, connect: Connections, client_host: ClientHost) -> None:
    tenant = client.tenants.create(**CORP)
    tenant = client.tenants.suspend(tenant, reason="unpaid")
    assert (tenant.status, tenant.suspended_reason) == ("suspended", "unpaid")
    tenant = client.tenants.reactivate(tenant)
    tenant = client.tenants.delete(tenant)
    assert (tenant.status, tenant.purge_at is not None) == ("deleted", True)
    tenant = client.tenants.restore(tenant)
    assert tenant.status == "active"
    admin = connect(client_host.url, client_host.make_caller("provisioning-admin").token)
    admin.partners.upsert(other := client_host.make_caller().partner)
    assert admin.tenants.move(tenant, other).partner == other
    assert admin.tenants.purge(tenant.tenant) is None
    with pytest.raises(TenantNotFound):
        admin.tenants.get(tenant)


def test_a_dry_run_changes_nothing(client: Any) -> None:
    assert client.tenants.create(**CORP, validate_only=True).client_name == "Example Corp"
    assert [*client.tenants.list()] == []


def test_a_list_reads_page_after_page_as_it_is_iterated_over(
    connect: Connections, faulty: FaultyServer, caller: Caller
) -> None:
    client = connect(faulty.url, caller.token)
    created = [caller.create(client_name=name)["tenant"] for name in "edcba"]
    tenants = client.tenants.list(sort="-created_at", limit=2)
    iterator = iter(tenants)
    assert faulty.requests == []
    assert [next(iterator).tenant for _ in range(2)] == created[:2:-1]
    assert len(faulty.requests) == 1
    assert [tenant.tenant for tenant in iterator] == created[2::-1]
    assert len(faulty.requests) == 3
    first = tenants.page()
    assert ([item.tenant for item in first.items], first.has_more) == (created[:2:-1], True)
    assert [item.tenant for item in tenants.page(first.next).items] == created[2:0:-1]
    assert [len(page.items) for page in tenants.pages(first.next)] == [2, 1]


def test_a_list_is_filtered(client: Any) -> None:
    for number, region in enumerate(("eu", "us", "eu")):
        tenant = client.tenants.create(client_name=f"Ä {number}", email=f"u{number}@example.com", region=region)
    client.tenants.suspend(tenant)
    assert [item.client_name for item in client.tenants.list(region="eu", q="ä", sort="-client_name")] == ["Ä 2", "Ä 0"]
    assert [item.client_name for item in client.tenants.list(status="suspended")] == ["Ä 2"]
    assert [item.client_name for item in client.tenants.list(created_after=tenant.created_at + DAY)] == []


@pytest.mark.parametrize("wrong", [None, 7, {"tenant": 7}])
def test_what_is_no_id_is_refused_before_it_is_sent(client: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match="Expected the id of a tenant"):
        client.tenants.get(wrong)


@pytest.mark.parametrize("wrong", ["", ".", "..", "x/settings", "../partners"])
def test_an_id_that_would_change_the_path_is_refused(client: Any, wrong: str) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        client.tenants.get(wrong)
