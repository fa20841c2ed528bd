"""The steps of the host that provision a tenant, or that run before its removal."""

from __future__ import annotations

from collections.abc import Callable

from ..generated import operations
from ..generated.models import Provisioning, Tenant
from ..operations import Call, Operation
from ..resources import get_id, get_version
from .transport import AsyncTransport

#: Seconds between two looks at steps that are being waited for: at first, and at most.
_SHORTEST, _LONGEST = 1.0, 15.0


class AsyncSteps:
    """Steps. Where a method takes a tenant, it takes its id or an object that the client has returned."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def get(self, tenant: Tenant | str) -> Provisioning:
        """Return the run of a tenant's steps."""
        return await self._transport.send(Call(operations.READ_PROVISIONING, {"tenant_id": get_id(tenant, "tenant")}))

    async def retry(
        self, tenant: Tenant | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Provisioning:
        """Start another round after a failure, and make waiting retries due at once."""
        return await self._write(operations.RETRY_PROVISIONING, tenant, validate_only, idempotency_key)

    async def cancel(
        self, tenant: Tenant | str, *, validate_only: bool = False, idempotency_key: str | None = None
    ) -> Provisioning:
        """Stop the run and undo its steps."""
        return await self._write(operations.CANCEL_PROVISIONING, tenant, validate_only, idempotency_key)

    async def wait(
        self, tenant: Tenant | str, *, progress: Callable[[Provisioning], None] | None = None
    ) -> Provisioning:
        """Wait until the run has ended, and return it. `progress` is called with each state of it on the way."""
        interval = _SHORTEST
        while True:
            provisioning = await self.get(tenant)
            if progress is not None:
                progress(provisioning)
            if provisioning.finished_at is not None:
                return provisioning
            await self._transport.sleep(interval)
            interval = min(2 * interval, _LONGEST)

    async def _write(
        self, operation: Operation[Provisioning], tenant: Tenant | str, validate_only: bool, key: str | None
    ) -> Provisioning:
        path, query = {"tenant_id": get_id(tenant, "tenant")}, {"validate_only": validate_only or None}
        return await self._transport.send(Call(operation, path, query, None, get_version(tenant), key))
