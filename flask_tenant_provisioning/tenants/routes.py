"""The tenants' HTTP: in and out, no SQL, no rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from flask import Response

from ..partners.requests import below
from ..problems import (
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
from ..web.paging import paged, place
from ..web.parameters import write_query
from ..web.preconditions import not_modified
from ..web.requests import REPEATABLE, WITH_BODY, expectation, fence
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from ..web.writing import Answer, write
from . import actions, listing, usage
from .inputs import load_patch, load_tenant, load_upsert
from .models import Tenant
from .queries import create_query, list_query, read_query
from .requests import WRITE, created, named, shown, target, tenant_named
from .schemas import TenantPageSchema, TenantSchema, tenant_input

routes = Routes()

Change = Callable[[Tenant], Mapping[str, Any]]

COLLECTION = "/tenants"
ONE = "/tenants/<tenant_id>"
BY_EXTERNAL_ID = "/tenants/by-external-id/<path:external_id>"


@routes.add(
    "POST",
    COLLECTION,
    permissions=("tenant:create",),
    body=tenant_input,
    query=create_query,
    answers={201: TenantSchema},
    problems=(*WITH_BODY, *REPEATABLE, InvalidParameter, TenantExists, PlanNotAllowed, QuotaExceeded, LicenseExpired),
    hooks=("tenant.create",),
)
def create_tenant(call: Call) -> Response:
    """Create a tenant."""
    mount, asked, body = call.mount, call.asked(create_query()), call.body(JSON)
    partner, values = call.partner(asked), load_tenant(mount, body)
    allowance = usage.allowance(mount, partner)
    work = partial(actions.create, actor=call.actor(), partner=partner, values=values, allowance=allowance)
    return write(
        call,
        work,
        partial(created, call),
        body=body,
        validate_only=asked["validate_only"],
        alone=not (allowance.limits or allowance.plans_of or mount.storage.reacts("tenant.create")),
    )


@routes.add(
    "GET",
    COLLECTION,
    permissions=("tenant:read",),
    query=list_query,
    answers={200: TenantPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_tenants(call: Call) -> Response:
    """List tenants, a page at a time: follow `next` until it is null. `partner` may be one below the caller's."""
    asked = call.asked(list_query(call.mount), below(call))
    partner = asked.get("partner", fence(call))
    question = listing.question(partner, asked)
    after = place(call, asked, question)
    items, end = call.mount.storage.read(partial(listing.page, partner=partner, asked=asked, place=after))
    return paged(call, items, end, question)


@routes.add(
    "GET",
    ONE,
    permissions=("tenant:read",),
    query=read_query,
    answers={200: TenantSchema, 304: None},
    problems=(InvalidParameter, TenantNotFound),
)
def read_tenant(call: Call, tenant_id: str) -> Response:
    """Read a tenant; of a partner below the caller's, where `partner` names it."""
    partner = call.asked(read_query(), below(call)).get("partner", fence(call))
    found = call.mount.storage.read(partial(actions.read, partner=partner, tenant_id=tenant_named(tenant_id)))
    answer = shown(call, found)
    if not_modified(found.version):
        return Response(status=304, headers=answer.headers)
    return call.answer(answer.document, answer.headers)


@routes.add(
    "PATCH",
    ONE,
    permissions=("tenant:update",),
    body=tenant_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    answers={200: TenantSchema},
    problems=(*WITH_BODY, *REPEATABLE, *WRITE, TenantExists, InvalidState, PlanNotAllowed, PlanLimitExceeded),
    hooks=("tenant.update",),
)
def patch_tenant(call: Call, tenant_id: str) -> Response:
    """Change some fields of a tenant (RFC 7396)."""
    asked, body = call.asked(write_query()), call.body(MERGE_PATCH, JSON)
    return _revise(call, tenant_id, load_patch(call.mount, body), body, asked["validate_only"])


@routes.add(
    "PUT",
    ONE,
    permissions=("tenant:update",),
    body=tenant_input,
    query=write_query,
    answers={200: TenantSchema},
    problems=(*WITH_BODY, *WRITE, TenantExists, InvalidState, PlanNotAllowed, PlanLimitExceeded),
    hooks=("tenant.update",),
)
def replace_tenant(call: Call, tenant_id: str) -> Response:
    """Replace every writable field of a tenant."""
    asked, body = call.asked(write_query()), call.body(JSON)
    values = load_tenant(call.mount, body)
    return _revise(call, tenant_id, lambda _tenant: {**actions.EMPTY, **values}, body, asked["validate_only"])


@routes.add(
    "PUT",
    BY_EXTERNAL_ID,
    permissions=("tenant:create", "tenant:update"),
    body=tenant_input,
    query=create_query,
    answers={200: TenantSchema, 201: TenantSchema},
    problems=(
        *WITH_BODY,
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
def upsert_tenant(call: Call, external_id: str) -> Response:
    """Bring the tenant with this external id to what the body says, creating it where there is none."""
    mount, asked, body = call.mount, call.asked(create_query()), call.body(JSON)
    partner, values = call.partner(asked), load_upsert(mount, named(external_id), body)
    work = partial(
        actions.upsert,
        actor=call.actor(),
        partner=partner,
        values=values,
        allowance=usage.allowance(mount, partner),
        expected=expectation(call),
    )

    def answer(found: tuple[Tenant, bool]) -> Answer:
        tenant, new = found
        return created(call, tenant) if new else shown(call, tenant)

    return write(call, work, answer, body=body, validate_only=asked["validate_only"])


def _revise(
    call: Call, tenant_id: str, change: Callable[[Tenant], Mapping[str, Any]], body: Any, validate_only: bool
) -> Response:
    work = partial(actions.revise, actor=call.actor(), target=target(call, tenant_id), change=change)
    return write(call, work, partial(shown, call), body=body, validate_only=validate_only)
