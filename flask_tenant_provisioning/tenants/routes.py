"""The HTTP of tenants: parse the request, name the action, render the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Response

from ..errors import (
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    LicenseExpired,
    PlanLimitExceeded,
    PlanNotAllowed,
    PreconditionFailed,
    PreconditionRequired,
    QuotaExceeded,
    TenantExists,
    TenantNotFound,
)
from ..partners.routes import make_descendant_check
from ..validation import load, make_entry, make_invalid_input
from ..web.headers import JSON, MERGE_PATCH, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import WriteQuery
from ..web.request import INVALID_UTF8, Request, is_path_utf8, make_precondition_check, parse_id, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions, lifecycle, listing, mutations, quotas
from .models import EMPTY_VALUES, Tenant, render_tenant_document
from .mutations import Target
from .schemas import (
    CreateQuery,
    DeleteQuery,
    ListQuery,
    MoveSchema,
    ReadQuery,
    SuspensionSchema,
    TenantPageSchema,
    TenantSchema,
    validate_patch,
    validate_tenant,
    validate_upsert,
)

#: The problems that writes to a tenant have in common.
WRITE_PROBLEMS = (*PRECONDITION_PROBLEMS, TenantNotFound)
routes = Routes()
TENANTS_PATH = "/tenants"
TENANT_PATH = "/tenants/<tenant_id>"
EXTERNAL_ID_PATH = "/tenants/by-external-id/<path:external_id>"


@routes.add(
    "POST",
    TENANTS_PATH,
    permissions=("tenant:create",),
    body=TenantSchema,
    query=CreateQuery,
    responses={201: TenantSchema},
    problems=(
        *BODY_PROBLEMS,
        *IDEMPOTENCY_PROBLEMS,
        InvalidParameter,
        TenantExists,
        PlanNotAllowed,
        QuotaExceeded,
        LicenseExpired,
    ),
    hooks=("tenant.create",),
)
def create_tenant(call: Request) -> Response:
    """Create a tenant."""
    query, body = call.query(CreateQuery), call.body(JSON)
    partner, actor = call.require_partner(query), call.actor()
    values = validate_tenant(call.mount, body)
    allowance = quotas.resolve_allowance(call.mount, partner)
    is_unlimited = not allowance.quotas and allowance.partner_with_plans is None
    work = partial(actions.create, actor=actor, partner=partner, values=values, allowance=allowance)
    return execute(
        call,
        work,
        partial(render_created_tenant, call),
        body=body,
        validate_only=query["validate_only"],
        single_statement_of="tenant.create" if is_unlimited and "admin" not in values else None,
    )


@routes.add(
    "GET",
    TENANTS_PATH,
    permissions=("tenant:read",),
    query=ListQuery,
    responses={200: TenantPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_tenants(call: Request) -> Response:
    """List tenants, a page at a time. Follow `next` until it is null; `partner` may be one below the caller's."""
    query = call.query(ListQuery, make_descendant_check(call))
    partner = query.get("partner", partner_scope(call))
    cursor_scope = listing.make_cursor_scope(partner, query)
    after = open_cursor(call, query, cursor_scope)
    items, end = call.mount.storage.read(partial(listing.load_page, partner=partner, query=query, place=after))
    return render_page(call, items, end, cursor_scope)


@routes.add(
    "GET",
    TENANT_PATH,
    permissions=("tenant:read",),
    query=ReadQuery,
    responses={200: TenantSchema, 304: None},
    problems=(InvalidParameter, TenantNotFound),
)
def read_tenant(call: Request, tenant_id: str) -> Response:
    """Read a tenant. `partner` may name a partner below the caller's."""
    partner = call.query(ReadQuery, make_descendant_check(call)).get("partner", partner_scope(call))
    tenant = call.mount.storage.read(
        partial(mutations.load_tenant, partner=partner, tenant_id=parse_tenant_id(tenant_id))
    )
    result = render_tenant(call, tenant)
    if is_not_modified(tenant.version):
        return Response(status=304, headers=result.headers)
    return call.json_response(result.document, result.headers)


@routes.add(
    "PATCH",
    TENANT_PATH,
    permissions=("tenant:update",),
    body=TenantSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(
        *BODY_PROBLEMS,
        *IDEMPOTENCY_PROBLEMS,
        *WRITE_PROBLEMS,
        TenantExists,
        InvalidState,
        PlanNotAllowed,
        PlanLimitExceeded,
    ),
    hooks=("tenant.update",),
)
def patch_tenant(call: Request, tenant_id: str) -> Response:
    """Change some fields of a tenant. The body is a merge patch (RFC 7396)."""
    query, body = call.query(WriteQuery), call.body(MERGE_PATCH, JSON)
    return _update(call, tenant_id, validate_patch(call.mount, body), body, query["validate_only"])


@routes.add(
    "PUT",
    TENANT_PATH,
    permissions=("tenant:update",),
    body=TenantSchema,
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(*BODY_PROBLEMS, *WRITE_PROBLEMS, TenantExists, InvalidState, PlanNotAllowed, PlanLimitExceeded),
    hooks=("tenant.update",),
)
def replace_tenant(call: Request, tenant_id: str) -> Response:
    """Replace every writable field of a tenant."""
    query, body = call.query(WriteQuery), call.body(JSON)
    values = validate_tenant(call.mount, body)
    return _update(call, tenant_id, lambda _tenant: {**EMPTY_VALUES, **values}, body, query["validate_only"])


@routes.add(
    "PUT",
    EXTERNAL_ID_PATH,
    permissions=("tenant:create", "tenant:update"),
    body=TenantSchema,
    query=CreateQuery,
    responses={200: TenantSchema, 201: TenantSchema},
    problems=(
        *BODY_PROBLEMS,
        InvalidParameter,
        PreconditionFailed,
        PreconditionRequired,
        TenantExists,
        PlanNotAllowed,
        PlanLimitExceeded,
        QuotaExceeded,
        LicenseExpired,
    ),
    hooks=("tenant.create", "tenant.update"),
)
def upsert_tenant(call: Request, external_id: str) -> Response:
    """Create or replace the tenant with an external id."""
    mount, query, body = call.mount, call.query(CreateQuery), call.body(JSON)
    partner, values = call.require_partner(query), validate_upsert(mount, parse_external_id(external_id), body)
    work = partial(
        actions.upsert,
        actor=call.actor(),
        partner=partner,
        values=values,
        allowance=quotas.resolve_allowance(mount, partner),
        check_version=make_precondition_check(call),
    )

    def render(upserted: tuple[Tenant, bool]) -> Result:
        tenant, is_created = upserted
        return render_created_tenant(call, tenant) if is_created else render_tenant(call, tenant)

    return execute(call, work, render, body=body, validate_only=query["validate_only"])


def _update(
    call: Request, tenant_id: str, change: Callable[[Tenant], Mapping[str, Any]], body: Any, validate_only: bool
) -> Response:
    work = partial(actions.update, actor=call.actor(), target=make_target(call, tenant_id), change=change)
    return execute(call, work, partial(render_tenant, call), body=body, validate_only=validate_only)


@routes.add(
    "DELETE",
    TENANT_PATH,
    permissions=("tenant:delete",),
    query=DeleteQuery,
    responses={200: TenantSchema, 202: None, 204: None},
    problems=WRITE_PROBLEMS,
    hooks=("tenant.delete", "tenant.purge"),
)
def delete_tenant(call: Request, tenant_id: str) -> Response:
    """Delete a tenant. It can be read and restored until `purge_at`, unless `purge=true` (needs `tenant:purge`).

    A purge returns 204 once the tenant is removed. If the application has to clean up first, it returns 202: the tenant
    can no longer be read, and `Location` shows the progress.
    """
    query = call.query(DeleteQuery)
    if query["purge"]:
        return _purge(call, tenant_id, query["validate_only"])
    days = call.mount.config.retention_days
    work = partial(lifecycle.delete, actor=call.actor(), target=make_target(call, tenant_id), retention_days=days)
    return execute(call, work, partial(render_tenant, call), validate_only=query["validate_only"])


def _purge(call: Request, tenant_id: str, validate_only: bool) -> Response:
    call.require("tenant:purge")
    work = partial(lifecycle.purge, actor=call.actor(), target=make_target(call, tenant_id))

    def render(is_removed: bool) -> Result:
        location = f"{call.mount.base_path()}/tenants/{parse_tenant_id(tenant_id)}/provisioning"
        return Result(204, None, {}) if is_removed else Result(202, None, {"Location": location, "Retry-After": "1"})

    return execute(call, work, render, validate_only=validate_only)


@routes.add(
    "POST",
    f"{TENANT_PATH}/restore",
    permissions=("tenant:delete",),
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState, TenantExists, QuotaExceeded, LicenseExpired),
    hooks=("tenant.restore",),
)
def restore_tenant(call: Request, tenant_id: str) -> Response:
    """Restore a deleted tenant to its previous status."""
    query, allowance = call.query(WriteQuery), quotas.resolve_allowance(call.mount)
    work = partial(lifecycle.restore, actor=call.actor(), target=make_target(call, tenant_id), allowance=allowance)
    return execute(call, work, partial(render_tenant, call), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{TENANT_PATH}/suspend",
    permissions=("tenant:update",),
    body=SuspensionSchema,
    body_required=False,
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState),
    hooks=("tenant.suspend",),
)
def suspend_tenant(call: Request, tenant_id: str) -> Response:
    """Suspend an active tenant."""
    query, body = call.query(WriteQuery), call.optional_body(JSON)
    reason = load(call.mount.schema(SuspensionSchema), body).get("reason")
    work = partial(lifecycle.suspend, actor=call.actor(), target=make_target(call, tenant_id), reason=reason)
    return execute(call, work, partial(render_tenant, call), body=body, validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{TENANT_PATH}/reactivate",
    permissions=("tenant:update",),
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(*IDEMPOTENCY_PROBLEMS, *WRITE_PROBLEMS, InvalidState),
    hooks=("tenant.reactivate",),
)
def reactivate_tenant(call: Request, tenant_id: str) -> Response:
    """Reactivate a suspended tenant."""
    query = call.query(WriteQuery)
    work = partial(lifecycle.reactivate, actor=call.actor(), target=make_target(call, tenant_id))
    return execute(call, work, partial(render_tenant, call), validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{TENANT_PATH}/move",
    permissions=("partner:manage",),
    body=MoveSchema,
    query=WriteQuery,
    responses={200: TenantSchema},
    problems=(
        *BODY_PROBLEMS,
        *IDEMPOTENCY_PROBLEMS,
        *WRITE_PROBLEMS,
        InvalidState,
        TenantExists,
        PlanNotAllowed,
        QuotaExceeded,
    ),
    hooks=("tenant.move",),
)
def move_tenant(call: Request, tenant_id: str) -> Response:
    """Move a tenant to another partner. Both partners receive a `tenant.moved` event."""
    call.require_administrator("Only an administrator may move a tenant.")
    query, body = call.query(WriteQuery), call.body(JSON)
    partner = load(call.mount.schema(MoveSchema), body)["partner"]
    work = partial(lifecycle.move, actor=call.actor(), target=make_target(call, tenant_id), partner=partner)
    return execute(call, work, partial(render_tenant, call), body=body, validate_only=query["validate_only"])


def parse_tenant_id(tenant_id: str) -> str:
    """Return a tenant's id in its canonical form. Raises `TenantNotFound` if it is not a UUID."""
    return parse_id(tenant_id, TenantNotFound)


def parse_external_id(external_id: str) -> str:
    """Return the external id in the path. Raises `InvalidInput` if the path is not UTF-8."""
    if not is_path_utf8():
        raise make_invalid_input([make_entry(INVALID_UTF8, "external_id")])
    return external_id


def make_target(call: Request, tenant_id: str) -> Target:
    """Return the tenant that the request addresses, with the check of its precondition headers."""
    return Target(partner_scope(call), parse_tenant_id(tenant_id), make_precondition_check(call))


def render_tenant(call: Request, tenant: Tenant) -> Result:
    """Build the result with a tenant's document and ETag."""
    return Result(
        200, render_tenant_document(tenant, call.mount.registry.fields), {"ETag": format_etag(tenant.version)}
    )


def render_created_tenant(call: Request, tenant: Tenant) -> Result:
    """Build the 201 result with a new tenant's document, ETag and Location."""
    result = render_tenant(call, tenant)
    location = f"{call.mount.base_path()}/tenants/{tenant.id}"
    return result._replace(status=201, headers={**result.headers, "Location": location})
