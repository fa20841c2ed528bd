"""HTTP routes of a tenant's provisioning."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from ..errors import InvalidParameter, InvalidState, LicenseExpired, TenantNotFound
from ..tenants.routes import TENANT_PATH, WRITE_PROBLEMS, make_target, parse_tenant_id
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, partner_scope
from ..web.routing import IDEMPOTENCY_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions
from .schemas import ProvisioningSchema

routes = Routes()

PROGRESS = f"{TENANT_PATH}/provisioning"


@routes.add(
    "GET",
    PROGRESS,
    permissions=("tenant:read",),
    responses={200: ProvisioningSchema},
    problems=(InvalidParameter, TenantNotFound),
)
def read_provisioning(call: Request, tenant_id: str) -> Response:
    """Read the progress of a tenant's provisioning, step by step.

    Once its deprovisioning has begun, the response shows the progress of that.
    """
    call.query(NoQuery)
    work = partial(actions.read_progress, partner=partner_scope(call), tenant_id=parse_tenant_id(tenant_id))
    return call.json_response(call.mount.storage.read(work))


@routes.add(
    "POST",
    f"{PROGRESS}/retry",
    permissions=("tenant:update",),
    query=WriteQuery,
    responses={202: ProvisioningSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState, LicenseExpired),
)
def retry_provisioning(call: Request, tenant_id: str) -> Response:
    """Retry the steps that failed or were cancelled. Steps that wait for their next attempt are tried at once.

    Steps that have succeeded and were not undone do not run again.
    """
    query, mount = call.query(WriteQuery), call.mount
    license, registry = mount.license, mount.registry
    work = partial(
        actions.retry, actor=call.actor(), target=make_target(call, tenant_id), registry=registry, license=license
    )
    return execute(call, work, partial(_make_result, call), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{PROGRESS}/cancel",
    permissions=("tenant:update",),
    query=WriteQuery,
    responses={202: ProvisioningSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState),
)
def cancel_provisioning(call: Request, tenant_id: str) -> Response:
    """Stop a tenant's provisioning and undo its steps. The tenant becomes `failed`, and can be retried."""
    query = call.query(WriteQuery)
    work = partial(
        actions.cancel, actor=call.actor(), target=make_target(call, tenant_id), registry=call.mount.registry
    )
    return execute(call, work, partial(_make_result, call), validate_only=query["validate_only"])


def _make_result(call: Request, document: dict[str, Any]) -> Result:
    location = f"{call.mount.base_path()}/tenants/{document['tenant']}/provisioning"
    return Result(202, document, {"Location": location, "Retry-After": "1"})
