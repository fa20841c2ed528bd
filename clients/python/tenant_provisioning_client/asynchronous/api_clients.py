"""API clients: credentials with which programs of a partner get access tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from ..generated import operations
from ..generated.models import PartnerClient, PartnerClientSecret
from ..operations import UNSET, Call, Unset, format_time, select_given
from ..resources import get_id, get_version
from .listing import AsyncListing
from .transport import AsyncTransport

AnyApiClient = PartnerClient | PartnerClientSecret | str


class AsyncApiClients:
    """API clients. Where a method takes one, it takes its id or an object that the client has returned.

    With the object, a change is refused by `PreconditionFailed` if the API client has changed since it was read.
    """

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        permissions: Sequence[str],
        *,
        status: Literal["enabled", "disabled"] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        networks: Sequence[str] | Unset = UNSET,
        authentication: Literal["client_secret", "private_key_jwt"] | Unset = UNSET,
        jwks: Mapping[str, Any] | Unset | None = UNSET,
        jwks_url: str | Unset | None = UNSET,
        partner: str | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> PartnerClientSecret:
        """Create an API client and return it. Its `secret` is shown only this once: store it."""
        body = select_given(
            name=name,
            permissions=permissions,
            status=status,
            expires_at=_format_expiry(expires_at),
            networks=networks,
            authentication=authentication,
            jwks=jwks,
            jwks_url=jwks_url,
        )
        query = {"partner": partner, "validate_only": validate_only or None}
        call = Call(operations.CREATE_CLIENT, query=query, body=body, key=idempotency_key)
        return await self._transport.send(call)

    def list(self, *, partner: str | None = None, limit: int | None = None) -> AsyncListing[PartnerClient]:
        """Return the list of the API clients."""
        query: dict[str, Any] = {"partner": partner, "limit": limit}
        return AsyncListing(self._transport, operations.LIST_CLIENTS, {}, query)

    async def get(self, client: AnyApiClient) -> PartnerClient:
        """Return an API client, without its secret. Raises `ClientNotFound`."""
        return await self._transport.send(Call(operations.READ_CLIENT, _get_path(client)))

    async def update(
        self,
        client: AnyApiClient,
        *,
        name: str | Unset = UNSET,
        permissions: Sequence[str] | Unset = UNSET,
        status: Literal["enabled", "disabled"] | Unset = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        networks: Sequence[str] | Unset = UNSET,
        jwks: Mapping[str, Any] | Unset | None = UNSET,
        jwks_url: str | Unset | None = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> PartnerClient:
        """Change the fields that are given, and return the API client. Disabling it ends all its tokens."""
        body = select_given(
            name=name,
            permissions=permissions,
            status=status,
            expires_at=_format_expiry(expires_at),
            networks=networks,
            jwks=jwks,
            jwks_url=jwks_url,
        )
        query, version = {"validate_only": validate_only or None}, get_version(client)
        call = Call(operations.PATCH_CLIENT, _get_path(client), query, body, version, idempotency_key)
        return await self._transport.send(call)

    async def delete(self, client: AnyApiClient, *, validate_only: bool = False) -> None:
        """Delete an API client. All its tokens end."""
        query, version = {"validate_only": validate_only or None}, get_version(client)
        await self._transport.send(Call(operations.DELETE_CLIENT, _get_path(client), query, None, version))

    async def rotate_secret(
        self,
        client: AnyApiClient,
        *,
        overlap_seconds: int | Unset = UNSET,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> PartnerClientSecret:
        """Make a new secret and return it with the API client. The old one is valid for `overlap_seconds` more (a day).

        With 0 it ends at once, and so do all tokens.
        """
        body = select_given(overlap_seconds=overlap_seconds) or None
        query, version = {"validate_only": validate_only or None}, get_version(client)
        call = Call(operations.ROTATE_CLIENT_SECRET, _get_path(client), query, body, version, idempotency_key)
        return await self._transport.send(call)


def _format_expiry(expires_at: datetime | Unset | None) -> str | Unset | None:
    return format_time(expires_at) if isinstance(expires_at, datetime) else expires_at


def _get_path(client: AnyApiClient) -> dict[str, str]:
    return {"client_id": get_id(client, "client")}
