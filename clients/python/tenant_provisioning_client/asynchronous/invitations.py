"""Invitations of the administrators of a tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from ..generated import operations
from ..generated.models import Invitation, Tenant
from ..operations import Call, Operation
from ..resources import get_id, get_version
from .listing import AsyncListing
from .transport import AsyncTransport

State = Literal["waiting", "sending", "sent", "failed", "accepted", "revoked", "expired"]


class AsyncInvitations:
    """Invitations. Where a method takes a tenant, it takes its id or an object that the client has returned.

    With an invitation, a change is refused by `PreconditionFailed` if it has changed since it was read.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        tenant: Tenant | str,
        admin: Mapping[str, str | None],
        *,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Invitation:
        """Invite `admin`, of whom you give the ``email`` and perhaps a ``name`` and a ``locale``, to a tenant.

        Raises `InvitationExists` if an invitation for this address is open.
        """
        path, query = {"tenant_id": get_id(tenant, "tenant")}, {"validate_only": validate_only or None}
        body = {"admin": dict(admin)}
        return await self._transport.send(Call(operations.CREATE_INVITATION, path, query, body, key=idempotency_key))

    def list(
        self, tenant: Tenant | str, *, state: State | None = None, limit: int | None = None
    ) -> AsyncListing[Invitation]:
        """Return the list of a tenant's invitations, the oldest first."""
        path = {"tenant_id": get_id(tenant, "tenant")}
        return AsyncListing(self._transport, operations.LIST_INVITATIONS, path, {"state": state, "limit": limit})

    async def get(self, invitation: Invitation | str, *, tenant: Tenant | str | None = None) -> Invitation:
        """Return an invitation; with its id alone, name the `tenant`. Raises `InvitationNotFound`."""
        return await self._transport.send(Call(operations.READ_INVITATION, _get_path(invitation, tenant)))

    async def resend(
        self,
        invitation: Invitation | str,
        *,
        tenant: Tenant | str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Invitation:
        """Send an invitation again, with a new link, which ends the one before."""
        return await self._write(
            operations.RESEND_INVITATION, invitation, _get_path(invitation, tenant), validate_only, idempotency_key
        )

    async def revoke(
        self,
        invitation: Invitation | str,
        *,
        tenant: Tenant | str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Invitation:
        """Revoke an invitation: it can no longer be accepted."""
        return await self._write(
            operations.REVOKE_INVITATION, invitation, _get_path(invitation, tenant), validate_only, idempotency_key
        )

    async def _write(
        self,
        operation: Operation[Invitation],
        invitation: Invitation | str,
        path: dict[str, str],
        validate_only: bool,
        key: str | None,
    ) -> Invitation:
        query = {"validate_only": validate_only or None}
        return await self._transport.send(Call(operation, path, query, None, get_version(invitation), key))


def _get_path(invitation: Invitation | str, tenant: Tenant | str | None) -> dict[str, str]:
    owner = invitation if tenant is None else tenant
    if isinstance(owner, str) and tenant is None:
        raise TypeError("With the id of an invitation, name its tenant: tenant=….")
    return {"tenant_id": get_id(owner, "tenant"), "invitation_id": get_id(invitation, "invitation")}
