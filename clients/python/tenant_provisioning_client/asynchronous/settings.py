"""The settings of tenants, and the defaults that a partner gives its tenants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..generated import operations
from ..generated.models import Partner, Settings, SettingsVersion, Tenant
from ..operations import Call, Operation
from ..pages import Page
from ..resources import get_id, get_version
from .listing import AsyncListing
from .transport import AsyncTransport


class SettingsOperations(NamedTuple):
    """The operations of the settings of one kind of owner."""

    #: The member of a document, and the start of the path's parameter, that name the owner.
    owner: str
    read: Operation[Settings]
    patch: Operation[Settings]
    replace: Operation[Settings]
    list_versions: Operation[Page[SettingsVersion]]
    roll_back: Operation[Settings]


TENANT_SETTINGS = SettingsOperations(
    "tenant",
    operations.READ_SETTINGS,
    operations.PATCH_SETTINGS,
    operations.REPLACE_SETTINGS,
    operations.LIST_SETTINGS_VERSIONS,
    operations.ROLL_SETTINGS_BACK,
)
PARTNER_SETTINGS = SettingsOperations(
    "partner",
    operations.READ_PARTNER_SETTINGS,
    operations.PATCH_PARTNER_SETTINGS,
    operations.REPLACE_PARTNER_SETTINGS,
    operations.LIST_PARTNER_SETTINGS_VERSIONS,
    operations.ROLL_PARTNER_SETTINGS_BACK,
)


class AsyncSettingsResource:
    """Settings. The owner is a tenant, or a partner: its id or an object that the client has returned.

    With a `version`, which is a number or the `Settings` that were read, a write is refused by `PreconditionFailed` if
    the settings have changed since.
    """

    def __init__(self, transport: AsyncTransport, its: SettingsOperations) -> None:
        self._transport, self._its = transport, its

    async def get(self, owner: Tenant | Partner | str) -> Settings:
        """Return the effective values, the owner's own, and where each comes from."""
        return await self._transport.send(Call(self._its.read, self._get_path(owner)))

    async def update(
        self,
        owner: Tenant | Partner | str,
        values: Mapping[str, Any],
        *,
        version: int | Settings | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Settings:
        """Merge `values` into the owner's own (RFC 7396), and return the settings. None resets a key or a namespace."""
        return await self._write(self._its.patch, owner, values, version, validate_only, idempotency_key)

    async def replace(
        self,
        owner: Tenant | Partner | str,
        values: Mapping[str, Any],
        *,
        version: int | Settings | None = None,
        validate_only: bool = False,
    ) -> Settings:
        """Set `values` and nothing else, and return the settings."""
        return await self._write(self._its.replace, owner, values, version, validate_only)

    def history(self, owner: Tenant | Partner | str, *, limit: int | None = None) -> AsyncListing[SettingsVersion]:
        """Return the list of the versions, the newest first."""
        return AsyncListing(self._transport, self._its.list_versions, self._get_path(owner), {"limit": limit})

    async def rollback(
        self,
        owner: Tenant | Partner | str,
        to: int | SettingsVersion,
        *,
        version: int | Settings | None = None,
        validate_only: bool = False,
        idempotency_key: str | None = None,
    ) -> Settings:
        """Make a new version with the values of the version `to`, and return the settings. 0 resets everything."""
        body = {"version": get_version(to)}
        return await self._write(self._its.roll_back, owner, body, version, validate_only, idempotency_key)

    def _get_path(self, owner: Tenant | Partner | str) -> dict[str, str]:
        return {f"{self._its.owner}_id": get_id(owner, self._its.owner)}

    async def _write(
        self,
        operation: Operation[Settings],
        owner: Tenant | Partner | str,
        body: Mapping[str, Any],
        version: int | Settings | None,
        validate_only: bool,
        key: str | None = None,
    ) -> Settings:
        query = {"validate_only": validate_only or None}
        call = Call(operation, self._get_path(owner), query, dict(body), get_version(None, version), key)
        return await self._transport.send(call)
