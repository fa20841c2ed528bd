"""Tenants: create, read, list, change, suspend, delete, restore, move."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeVar, cast

from ..generated import operations
from ..generated.models import Tenant
from ..operations import UNSET, Call, Operation, Unset, select_given
from ..resources import get_id, get_version
from .listing import AsyncListing
from .transport import AsyncTransport

T = TypeVar("T")
Sort = Literal["created_at", "-created_at", "client_name", "-client_name"]
Status = Literal["provisioning", "active", "suspended", "failed", "deleted"]


class AsyncTenants:
    """Tenants. Where a method takes a tenant, it takes its id or an object that the client has returned.

    With the object, a change is refused by `PreconditionFailed` if the tenant has changed since it was read; with the
    id it is made in any case. Every write takes `validate_only=True`: it is checked, returns what it would return, and
    changes nothing. With an `idempotency_key` of your own, a call is still the same one after your program restarted.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        *,
        client_name: str,
        email: str,
        external_id: str | Unset | None = UNSET,
        phone_number: str | Unset | None = UNSET,
        industry: str | Unset | None = UNSET,
        plan: str | Unset | None = UNSET,
        metadata: Mapping[str, str] | Unset | None = UNSET,
        admin: Mapping[str, str | None] | Unset | None = UNSET,
        partner: str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
        **custom_fields: Any,
    ) -> Tenant:
        """Create a tenant and return it. Raises `TenantExists` if its email or external id is taken."""
        body = select_given(
            client_name=client_name,
            email=email,
            external_id=external_id,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            admin=admin,
            **custom_fields,
        )
        query = {"partner": partner, "validate_only": validate_only or None}
        call = Call(operations.CREATE_TENANT, query=query, body=body, key=idempotency_key)
        return await self._transport.send(call)

    async def get(self, tenant: Tenant | str, *, partner: str | None = None) -> Tenant:
        """Return a tenant. Raises `TenantNotFound`."""
        path = {"tenant_id": get_id(tenant, "tenant")}
        return await self._transport.send(Call(operations.READ_TENANT, path, {"partner": partner}))

    def list(
        self,
        *,
        partner: str | None = None,
        status: Status | None = None,
        email: str | None = None,
        external_id: str | None = None,
        plan: str | None = None,
        industry: str | None = None,
        q: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        updated_after: datetime | None = None,
        updated_before: datetime | None = None,
        include_deleted: bool | None = None,
        sort: Sort | None = None,
        limit: int | None = None,
        **custom_filters: str | int | bool | datetime,
    ) -> AsyncListing[Tenant]:
        """Return the list of the tenants that match. `q` is the beginning of a name; `limit` is the size of a page."""
        query = {
            "partner": partner,
            "status": status,
            "email": email,
            "external_id": external_id,
            "plan": plan,
            "industry": industry,
            "q": q,
            "created_after": created_after,
            "created_before": created_before,
            "updated_after": updated_after,
            "updated_before": updated_before,
            "include_deleted": include_deleted,
            "sort": sort,
            "limit": limit,
            **custom_filters,
        }
        return AsyncListing(self._transport, operations.LIST_TENANTS, {}, query)

    async def update(
        self,
        tenant: Tenant | str,
        *,
        client_name: str | Unset = UNSET,
        email: str | Unset = UNSET,
        external_id: str | Unset | None = UNSET,
        phone_number: str | Unset | None = UNSET,
        industry: str | Unset | None = UNSET,
        plan: str | Unset | None = UNSET,
        metadata: Mapping[str, str | None] | Unset | None = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
        **custom_fields: Any,
    ) -> Tenant:
        """Change the fields that are given, and return the tenant. None clears a field.

        `metadata` is merged key by key; a key with None is removed. Raises `PreconditionFailed` if the tenant has
        changed since the object was read.
        """
        body = select_given(
            client_name=client_name,
            email=email,
            external_id=external_id,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            **custom_fields,
        )
        return await self._write(operations.PATCH_TENANT, tenant, body, validate_only, idempotency_key)

    async def replace(
        self,
        tenant: Tenant | str,
        *,
        client_name: str,
        email: str,
        external_id: str | Unset | None = UNSET,
        phone_number: str | Unset | None = UNSET,
        industry: str | Unset | None = UNSET,
        plan: str | Unset | None = UNSET,
        metadata: Mapping[str, str] | Unset | None = UNSET,
        admin: Mapping[str, str | None] | Unset | None = UNSET,
        validate_only: bool = False,
        **custom_fields: Any,
    ) -> Tenant:
        """Set every field, and return the tenant: a field that is not given is cleared."""
        body = select_given(
            client_name=client_name,
            email=email,
            external_id=external_id,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            admin=admin,
            **custom_fields,
        )
        return await self._write(operations.REPLACE_TENANT, tenant, body, validate_only)

    async def upsert(
        self,
        external_id: str,
        *,
        client_name: str,
        email: str,
        phone_number: str | Unset | None = UNSET,
        industry: str | Unset | None = UNSET,
        plan: str | Unset | None = UNSET,
        metadata: Mapping[str, str] | Unset | None = UNSET,
        admin: Mapping[str, str | None] | Unset | None = UNSET,
        version: int | Tenant | None = None,
        partner: str | None = None,
        validate_only: bool = False,
        **custom_fields: Any,
    ) -> Tenant:
        """Create the tenant with this external id, or replace it: a field that is not given is cleared.

        If it is as given already, nothing changes. With a `version` it is replaced only if it has that version.
        """
        body = select_given(
            client_name=client_name,
            email=email,
            phone_number=phone_number,
            industry=industry,
            plan=plan,
            metadata=metadata,
            admin=admin,
            **custom_fields,
        )
        query = {"partner": partner, "validate_only": validate_only or None}
        path = {"external_id": external_id}
        call = Call(operations.UPSERT_TENANT, path, query, body, get_version(None, version))
        return await self._transport.send(call)

    async def suspend(
        self,
        tenant: Tenant | str,
        *,
        reason: str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Tenant:
        """Suspend an active tenant, and return it."""
        body = None if reason is None else {"reason": reason}
        return await self._write(operations.SUSPEND_TENANT, tenant, body, validate_only, idempotency_key)

    async def reactivate(
        self, tenant: Tenant | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Tenant:
        """Make a suspended tenant active, and return it."""
        return await self._write(operations.REACTIVATE_TENANT, tenant, None, validate_only, idempotency_key)

    async def delete(self, tenant: Tenant | str, *, validate_only: bool = False) -> Tenant:
        """Delete a tenant, and return it. It can be restored until its `purge_at`."""
        # The API returns nothing of a purge alone.
        return cast(Tenant, await self._write(operations.DELETE_TENANT, tenant, None, validate_only))

    async def purge(self, tenant: Tenant | str, *, validate_only: bool = False) -> None:
        """Remove a tenant for good, which needs the permission `tenant:purge`.

        If the host has steps to run first, they begin now; `steps.get` shows them.
        """
        await self._write(operations.DELETE_TENANT, tenant, None, validate_only, purge=True)

    async def restore(
        self, tenant: Tenant | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Tenant:
        """Restore a deleted tenant with the status that it had, and return it."""
        return await self._write(operations.RESTORE_TENANT, tenant, None, validate_only, idempotency_key)

    async def move(
        self, tenant: Tenant | str, partner: str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Tenant:
        """Give a tenant to another partner, and return it. For administrators."""
        return await self._write(operations.MOVE_TENANT, tenant, {"partner": partner}, validate_only, idempotency_key)

    async def _write(
        self,
        operation: Operation[T],
        tenant: Tenant | str,
        body: Any,
        validate_only: bool,
        key: str | None = None,
        purge: bool | None = None,
    ) -> T:
        path = {"tenant_id": get_id(tenant, "tenant")}
        query = {"validate_only": validate_only or None, "purge": purge}
        return await self._transport.send(Call(operation, path, query, body, get_version(tenant), key))
