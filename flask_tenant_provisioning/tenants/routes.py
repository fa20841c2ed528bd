"""The tenants' HTTP: in and out, no SQL, no rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from flask import Response, request

from ..problems import (
    BodyTooLarge,
    Forbidden,
    InvalidCursor,
    InvalidInput,
    InvalidParameter,
    InvalidState,
    LicenseExpired,
    MalformedJSON,
    PreconditionFailed,
    QuotaExceeded,
    TenantExists,
    TenantNotFound,
    UnsupportedMediaType,
)
from ..web.preconditions import etag, not_modified, require_match
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from ..web.validation import StrictSchema, load, load_parameters
from . import actions, listing, usage
from .models import Tenant
from .patches import patched
from .queries import list_query, partner_query
from .schemas import TenantPageSchema, TenantSchema, tenant_input

routes = Routes()

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BODY = (BodyTooLarge, MalformedJSON, UnsupportedMediaType, InvalidInput)
_ONE = "/tenants/<tenant_id>"


@routes.add(
    "POST",
    "/tenants",
    permissions=("tenant:create",),
    body=tenant_input,
    query=partner_query,
    answers={201: TenantSchema},
    problems=(*_BODY, InvalidParameter, TenantExists, QuotaExceeded, LicenseExpired),
)
def create_tenant(call: Call) -> Response:
    """Create a tenant."""
    mount, asked = call.mount, _asked(call, partner_query())
    values = load(tenant_input(mount.settings), call.body(JSON))
    mount.license.require_provisioning()
    limits = usage.limits(mount.storage, mount.license)
    work = partial(
        actions.create,
        actor=call.actor(),
        partner=asked.get("partner", call.principal.partner),
        values=values,
        limits=limits,
    )
    tenant = mount.storage.transaction(work) if limits else mount.storage.statement(work)
    return _shown(call, tenant, 201, Location=f"{mount.base()}/tenants/{tenant.id}")


@routes.add(
    "GET",
    "/tenants",
    permissions=("tenant:read",),
    query=list_query,
    answers={200: TenantPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_tenants(call: Call) -> Response:
    """List tenants, a page at a time: follow `next` until it is null."""
    asked, cursors = _asked(call, list_query()), call.mount.cursors
    partner = asked.get("partner", _scope(call))
    question = listing.question(partner, asked)
    place = cursors.open(asked["cursor"], question) if "cursor" in asked else None
    items, end = call.mount.storage.read(partial(listing.page, partner=partner, asked=asked, place=place))
    cursor = None if end is None else cursors.seal(end, question)
    answer = call.answer({"items": items, "next": cursor})
    if cursor is not None:
        answer.headers["Link"] = f'<{_next(call, cursor)}>; rel="next"'
    return answer


@routes.add(
    "GET", _ONE, permissions=("tenant:read",), answers={200: TenantSchema, 304: None}, problems=(TenantNotFound,)
)
def read_tenant(call: Call, tenant_id: str) -> Response:
    """Read a tenant."""
    _refuse_parameters(call)
    tenant = call.mount.storage.read(partial(actions.read, partner=_scope(call), tenant_id=_id(tenant_id)))
    if not_modified(tenant.version):
        return Response(status=304, headers={"ETag": etag(tenant.version)})
    return _shown(call, tenant)


@routes.add(
    "PATCH",
    _ONE,
    permissions=("tenant:update",),
    body=tenant_input,
    consumes=(MERGE_PATCH, JSON),
    answers={200: TenantSchema},
    problems=(*_BODY, TenantNotFound, TenantExists, InvalidState, PreconditionFailed),
)
def patch_tenant(call: Call, tenant_id: str) -> Response:
    """Change some fields of a tenant (RFC 7396)."""
    patch = load(tenant_input(call.mount.settings), call.body(MERGE_PATCH, JSON), partial=True)
    return _revise(call, tenant_id, lambda tenant: patched(tenant, patch))


@routes.add(
    "PUT",
    _ONE,
    permissions=("tenant:update",),
    body=tenant_input,
    answers={200: TenantSchema},
    problems=(*_BODY, TenantNotFound, TenantExists, InvalidState, PreconditionFailed),
)
def replace_tenant(call: Call, tenant_id: str) -> Response:
    """Replace every writable field of a tenant."""
    values = load(tenant_input(call.mount.settings), call.body(JSON))
    return _revise(call, tenant_id, lambda _tenant: {**EMPTY, **values})


@routes.add(
    "DELETE",
    _ONE,
    permissions=("tenant:delete",),
    answers={200: TenantSchema},
    problems=(TenantNotFound, PreconditionFailed),
)
def delete_tenant(call: Call, tenant_id: str) -> Response:
    """Delete a tenant; until `purge_at` it can be read still."""
    _refuse_parameters(call)
    work = partial(
        actions.delete,
        actor=call.actor(),
        partner=_scope(call),
        tenant_id=_id(tenant_id),
        retention_days=call.mount.settings.retention_days,
        expected=_expected,
    )
    return _shown(call, call.mount.storage.transaction(work))


#: What a field is after a PUT that does not name it.
EMPTY: Mapping[str, Any] = {"external_id": None, "phone_number": None, "industry": None, "plan": None, "metadata": {}}


def _revise(call: Call, tenant_id: str, change: Any) -> Response:
    _refuse_parameters(call)
    work = partial(
        actions.revise,
        actor=call.actor(),
        partner=_scope(call),
        tenant_id=_id(tenant_id),
        change=change,
        expected=_expected,
    )
    return _shown(call, call.mount.storage.transaction(work))


def _expected(tenant: Tenant) -> None:
    require_match(tenant.version)


def _shown(call: Call, tenant: Tenant, status: int = 200, **headers: str) -> Response:
    return call.answer(tenant.document(), status, ETag=etag(tenant.version), **headers)


def _scope(call: Call) -> str | None:
    """The partner whose tenants the caller sees; None means everybody's."""
    return None if call.principal.sees_every_partner else call.principal.partner


def _id(text: str) -> str:
    """A tenant's id in its canonical form. Raises `TenantNotFound` for what cannot be one."""
    found = text.lower()
    if not _ID.fullmatch(found):
        raise TenantNotFound
    return found


def _asked(call: Call, schema: Any) -> dict[str, Any]:
    """The query parameters; only an administrator may name a partner."""
    asked = load_parameters(schema, request.args.to_dict(flat=False)) if request.query_string else {**schema.defaults}
    if "partner" in asked and not call.principal.sees_every_partner:
        challenge = call.mount.guard.challenge("insufficient_scope")
        raise Forbidden("Only an administrator may name a partner.", headers=challenge)
    return asked


def _refuse_parameters(call: Call) -> None:
    if request.query_string:
        load_parameters(StrictSchema(), request.args.to_dict(flat=False))


def _next(call: Call, cursor: str) -> str:
    parameters = {**request.args.to_dict(), "cursor": cursor}
    return f"{call.mount.base()}/tenants?{urlencode(parameters)}"
