"""The HTTP of a tenant's provisioning."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from ..problems import InvalidParameter, InvalidState, LicenseExpired, TenantNotFound
from ..tenants.requests import WRITE, target, tenant_named
from ..tenants.routes import ONE
from ..web.parameters import NO_QUERY, write_query
from ..web.requests import REPEATABLE, fence
from ..web.routing import Call, Routes
from ..web.writing import Answer, write
from . import actions
from .schemas import ProvisioningSchema

routes = Routes()

PROGRESS = f"{ONE}/provisioning"


@routes.add(
    "GET",
    PROGRESS,
    permissions=("tenant:read",),
    answers={200: ProvisioningSchema},
    problems=(InvalidParameter, TenantNotFound),
)
def read_provisioning(call: Call, tenant_id: str) -> Response:
    """See how far a tenant's provisioning has come, step by step; its deprovisioning, once that has begun."""
    call.asked(NO_QUERY)
    work = partial(actions.read, partner=fence(call), tenant_id=tenant_named(tenant_id))
    return call.answer(call.mount.storage.read(work))


@routes.add(
    "POST",
    f"{PROGRESS}/retry",
    permissions=("tenant:update",),
    query=write_query,
    answers={202: ProvisioningSchema},
    problems=(*REPEATABLE, *WRITE, InvalidState, LicenseExpired),
)
def retry_provisioning(call: Call, tenant_id: str) -> Response:
    """Try again what failed or was cancelled, and at once what would be tried later.

    Steps that have succeeded and were not taken back are not run again.
    """
    asked, mount = call.asked(write_query()), call.mount
    license, hooks = mount.license, mount.hooks
    work = partial(actions.retry, actor=call.actor(), target=target(call, tenant_id), hooks=hooks, license=license)
    return write(call, work, partial(_begun, call), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{PROGRESS}/cancel",
    permissions=("tenant:update",),
    query=write_query,
    answers={202: ProvisioningSchema},
    problems=(*REPEATABLE, *WRITE, InvalidState),
)
def cancel_provisioning(call: Call, tenant_id: str) -> Response:
    """Stop a tenant's provisioning and take back what was done; the tenant is `failed` and can be tried again."""
    asked = call.asked(write_query())
    work = partial(actions.cancel, actor=call.actor(), target=target(call, tenant_id), hooks=call.mount.hooks)
    return write(call, work, partial(_begun, call), validate_only=asked["validate_only"])


def _begun(call: Call, document: dict[str, Any]) -> Answer:
    where = f"{call.mount.base()}/tenants/{document['tenant']}/provisioning"
    return Answer(202, document, {"Location": where, "Retry-After": "1"})
