"""HTTP routes of a tenant's invitations."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..errors import (
    InvalidCursor,
    InvalidParameter,
    InvalidState,
    InvitationExists,
    InvitationNotFound,
    InvitationsUnavailable,
    QuotaExceeded,
    TenantNotFound,
)
from ..mount import Mount
from ..tenants.routes import TENANT_PATH, parse_tenant_id
from ..web.headers import JSON, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import Request, make_precondition_check, parse_id, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions
from .actions import Rules, Target
from .models import InvitationRow, render_invitation
from .schemas import InvitationListQuery, InvitationPageSchema, InvitationSchema, validate_new_invitation

routes = Routes()

INVITATIONS_PATH = f"{TENANT_PATH}/invitations"
INVITATION_PATH = f"{INVITATIONS_PATH}/<invitation_id>"
#: The problems common to all writes to an invitation.
WRITE_PROBLEMS = (*IDEMPOTENCY_PROBLEMS, *PRECONDITION_PROBLEMS, TenantNotFound, InvitationNotFound, InvalidState)


def make_rules(mount: Mount) -> Rules:
    """Return the rules of the invitations of `mount`."""
    config, is_available = mount.config, mount.registry.invite is not None
    return Rules(mount.keyring, config.invitation_seconds, config.invitation_limit, is_available)


def parse_invitation_id(invitation_id: str) -> str:
    """Return an invitation's id in its canonical form. Raises `InvitationNotFound` if it is not a UUID."""
    return parse_id(invitation_id, InvitationNotFound)


def make_target(call: Request, tenant_id: str, invitation_id: str) -> Target:
    """Return the invitation that a write applies to, with its check of ``If-Match``."""
    tenant, invitation = parse_tenant_id(tenant_id), parse_invitation_id(invitation_id)
    return Target(partner_scope(call), tenant, invitation, make_precondition_check(call))


def make_result(row: InvitationRow) -> Result:
    """Make the 200 result that shows an invitation."""
    return Result(200, render_invitation(row), {"ETag": format_etag(row.version)})


@routes.add(
    "GET",
    INVITATIONS_PATH,
    permissions=("invitation:read",),
    query=InvitationListQuery,
    responses={200: InvitationPageSchema},
    problems=(InvalidParameter, InvalidCursor, TenantNotFound),
)
def list_invitations(call: Request, tenant_id: str) -> Response:
    """List a tenant's invitations, the oldest first, a page at a time."""
    query, id, partner = call.query(InvitationListQuery), parse_tenant_id(tenant_id), partner_scope(call)
    cursor_scope = repr(("invitations", partner, id, query.get("state")))
    after = open_cursor(call, query, cursor_scope)
    work = partial(
        actions.list_page,
        partner=partner,
        tenant_id=id,
        state=query.get("state"),
        limit=query["limit"],
        after=after,
    )
    rows, end = call.mount.storage.read(work)
    return render_page(call, [render_invitation(row) for row in rows], end, cursor_scope)


@routes.add(
    "POST",
    INVITATIONS_PATH,
    permissions=("invitation:write",),
    body=InvitationSchema,
    query=WriteQuery,
    responses={201: InvitationSchema},
    problems=(
        *BODY_PROBLEMS,
        *IDEMPOTENCY_PROBLEMS,
        InvalidParameter,
        TenantNotFound,
        InvalidState,
        InvitationExists,
        InvitationsUnavailable,
        QuotaExceeded,
    ),
)
def create_invitation(call: Request, tenant_id: str) -> Response:
    """Invite a person to administer a tenant. It is sent at once, or as soon as the tenant is active."""
    query, body = call.query(WriteQuery), call.body(JSON)
    id = parse_tenant_id(tenant_id)
    admin = validate_new_invitation(call.mount, body)
    work = partial(
        actions.create,
        actor=call.actor(),
        rules=make_rules(call.mount),
        partner=partner_scope(call),
        tenant_id=id,
        admin=admin,
    )

    def make_created(row: InvitationRow) -> Result:
        location = f"{call.mount.base_path()}/tenants/{row.tenant_id}/invitations/{row.id}"
        result = make_result(row)
        return result._replace(status=201, headers={**result.headers, "Location": location})

    return execute(call, work, make_created, body=body, validate_only=query["validate_only"])


@routes.add(
    "GET",
    INVITATION_PATH,
    permissions=("invitation:read",),
    responses={200: InvitationSchema, 304: None},
    problems=(InvalidParameter, TenantNotFound, InvitationNotFound),
)
def read_invitation(call: Request, tenant_id: str, invitation_id: str) -> Response:
    """Read an invitation."""
    call.query(NoQuery)
    tenant, invitation = parse_tenant_id(tenant_id), parse_invitation_id(invitation_id)
    work = partial(actions.load, partner=partner_scope(call), tenant_id=tenant, invitation_id=invitation)
    row = call.mount.storage.read(work)
    result = make_result(row)
    if is_not_modified(row.version):
        return Response(status=304, headers=result.headers)
    return call.json_response(result.document, result.headers)


@routes.add(
    "POST",
    f"{INVITATION_PATH}/resend",
    permissions=("invitation:write",),
    query=WriteQuery,
    responses={200: InvitationSchema},
    problems=(*WRITE_PROBLEMS, InvitationExists, InvitationsUnavailable, QuotaExceeded),
)
def resend_invitation(call: Request, tenant_id: str, invitation_id: str) -> Response:
    """Send an invitation again. It has a new token, which replaces the one before, and a new time to accept it."""
    query = call.query(WriteQuery)
    target = make_target(call, tenant_id, invitation_id)
    work = partial(actions.resend, actor=call.actor(), rules=make_rules(call.mount), target=target)
    return execute(call, work, make_result, validate_only=query["validate_only"])


@routes.add(
    "POST",
    f"{INVITATION_PATH}/revoke",
    permissions=("invitation:write",),
    query=WriteQuery,
    responses={200: InvitationSchema},
    problems=WRITE_PROBLEMS,
)
def revoke_invitation(call: Request, tenant_id: str, invitation_id: str) -> Response:
    """Revoke an invitation: it cannot be accepted any more."""
    query = call.query(WriteQuery)
    work = partial(actions.revoke, actor=call.actor(), target=make_target(call, tenant_id, invitation_id))
    return execute(call, work, make_result, validate_only=query["validate_only"])
