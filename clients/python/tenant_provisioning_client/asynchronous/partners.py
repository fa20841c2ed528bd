"""Partners and their usage, for administrators; a partner sees its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..generated import operations
from ..generated.models import Partner, PartnerUsage
from ..operations import UNSET, Call, Unset, select_given
from ..resources import get_id, get_version
from .listing import AsyncListing
from .settings import PARTNER_SETTINGS, AsyncSettingsResource
from .transport import AsyncTransport

Status = Literal["active", "suspended"]


class AsyncPartners:
    """Partners. Where a method takes a partner, it takes its id or an object that the client has returned.

    With the object, a change is refused by `PreconditionFailed` if the partner has changed since it was read.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport
        #: The defaults that partners give their tenants.
        self.settings = AsyncSettingsResource(transport, PARTNER_SETTINGS)

    def list(
        self, *, status: Status | None = None, parent: str | None = None, limit: int | None = None
    ) -> AsyncListing[Partner]:
        """Return the list of the partners that match."""
        query = {"status": status, "parent": parent, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_PARTNERS, {}, query)

    async def get(self, partner: Partner | str) -> Partner:
        """Return a partner. Raises `PartnerNotFound`."""
        return await self._transport.send(Call(operations.READ_PARTNER, {"partner_id": get_id(partner, "partner")}))

    async def upsert(
        self,
        partner: Partner | str,
        *,
        name: str | Unset | None = UNSET,
        contact: str | Unset | None = UNSET,
        status: Status | Unset = UNSET,
        suspended_reason: str | Unset | None = UNSET,
        parent: str | Unset | None = UNSET,
        max_tenants: int | Unset | None = UNSET,
        allowed_plans: Sequence[str] | Unset | None = UNSET,
        validate_only: bool = False,
    ) -> Partner:
        """Register the partner with this id, or replace it, and return it: a field that is not given is cleared."""
        body = select_given(
            name=name,
            contact=contact,
            status=status,
            suspended_reason=suspended_reason,
            parent=parent,
            max_tenants=max_tenants,
            allowed_plans=allowed_plans,
        )
        path, query = {"partner_id": get_id(partner, "partner")}, {"validate_only": validate_only or None}
        return await self._transport.send(Call(operations.PUT_PARTNER, path, query, body, get_version(partner)))

    async def update(
        self,
        partner: Partner | str,
        *,
        name: str | Unset | None = UNSET,
        contact: str | Unset | None = UNSET,
        status: Status | Unset = UNSET,
        suspended_reason: str | Unset | None = UNSET,
        parent: str | Unset | None = UNSET,
        max_tenants: int | Unset | None = UNSET,
        allowed_plans: Sequence[str] | Unset | None = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Partner:
        """Change the fields that are given, and return the partner. None clears a field."""
        body = select_given(
            name=name,
            contact=contact,
            status=status,
            suspended_reason=suspended_reason,
            parent=parent,
            max_tenants=max_tenants,
            allowed_plans=allowed_plans,
        )
        path, query = {"partner_id": get_id(partner, "partner")}, {"validate_only": validate_only or None}
        call = Call(operations.PATCH_PARTNER, path, query, body, get_version(partner), idempotency_key)
        return await self._transport.send(call)


class AsyncUsage:
    """The number of tenants that partners have, and the number that they may have."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    def list(self, *, partner: str | None = None, limit: int | None = None) -> AsyncListing[PartnerUsage]:
        """Return the list of the partners' usage."""
        query: dict[str, Any] = {"partner": partner, "limit": limit}
        return AsyncListing(self._transport, operations.READ_USAGE, {}, query)
