"""The HTTP of a tenant's states."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..problems import InvalidState, LicenseExpired, PlanNotAllowed, QuotaExceeded, TenantExists
from ..web.parameters import write_query
from ..web.requests import REPEATABLE, WITH_BODY
from ..web.routing import JSON, Call, Routes
from ..web.validation import load
from ..web.writing import Answer, write
from . import lifecycle, usage
from .moving import move
from .queries import delete_query
from .requests import WRITE, shown, target, tenant_named
from .routes import ONE
from .schemas import TenantSchema, move_input, suspension_input

routes = Routes()


@routes.add(
    "DELETE",
    ONE,
    permissions=("tenant:delete",),
    query=delete_query,
    answers={200: TenantSchema, 202: None, 204: None},
    problems=WRITE,
    hooks=("tenant.delete", "tenant.purge"),
)
def delete_tenant(call: Call, tenant_id: str) -> Response:
    """Delete a tenant. It can be read and restored until `purge_at`, unless `purge=true` (needs `tenant:purge`).

    A tenant that is purged is gone at once: 204. Where the application has work to do before, it is gone for everybody,
    and `Location` shows how far that work has come: 202.
    """
    asked = call.asked(delete_query())
    if asked["purge"]:
        return _purge(call, tenant_id, asked["validate_only"])
    days = call.mount.settings.retention_days
    work = partial(lifecycle.delete, actor=call.actor(), target=target(call, tenant_id), retention_days=days)
    return write(call, work, partial(shown, call), validate_only=asked["validate_only"])


def _purge(call: Call, tenant_id: str, validate_only: bool) -> Response:
    call.require("tenant:purge")
    work = partial(lifecycle.purge, actor=call.actor(), target=target(call, tenant_id))

    def answer(gone: bool) -> Answer:
        where = f"{call.mount.base()}/tenants/{tenant_named(tenant_id)}/provisioning"
        return Answer(204, None, {}) if gone else Answer(202, None, {"Location": where, "Retry-After": "1"})

    return write(call, work, answer, validate_only=validate_only)


@routes.add(
    "POST",
    f"{ONE}/restore",
    permissions=("tenant:delete",),
    query=write_query,
    answers={200: TenantSchema},
    problems=(*REPEATABLE, *WRITE, InvalidState, TenantExists, QuotaExceeded, LicenseExpired),
    hooks=("tenant.restore",),
)
def restore_tenant(call: Call, tenant_id: str) -> Response:
    """Restore a deleted tenant to the status that it had."""
    asked, allowance = call.asked(write_query()), usage.allowance(call.mount)
    work = partial(lifecycle.restore, actor=call.actor(), target=target(call, tenant_id), allowance=allowance)
    return write(call, work, partial(shown, call), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{ONE}/suspend",
    permissions=("tenant:update",),
    body=suspension_input,
    body_required=False,
    query=write_query,
    answers={200: TenantSchema},
    problems=(*WITH_BODY, *REPEATABLE, *WRITE, InvalidState),
    hooks=("tenant.suspend",),
)
def suspend_tenant(call: Call, tenant_id: str) -> Response:
    """Suspend an active tenant."""
    asked, body = call.asked(write_query()), call.optional_body(JSON)
    reason = load(suspension_input(), body).get("reason")
    work = partial(lifecycle.suspend, actor=call.actor(), target=target(call, tenant_id), reason=reason)
    return write(call, work, partial(shown, call), body=body, validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{ONE}/reactivate",
    permissions=("tenant:update",),
    query=write_query,
    answers={200: TenantSchema},
    problems=(*REPEATABLE, *WRITE, InvalidState),
    hooks=("tenant.reactivate",),
)
def reactivate_tenant(call: Call, tenant_id: str) -> Response:
    """Make a suspended tenant active again."""
    asked = call.asked(write_query())
    work = partial(lifecycle.reactivate, actor=call.actor(), target=target(call, tenant_id))
    return write(call, work, partial(shown, call), validate_only=asked["validate_only"])


@routes.add(
    "POST",
    f"{ONE}/move",
    permissions=("partner:manage",),
    body=move_input,
    query=write_query,
    answers={200: TenantSchema},
    problems=(*WITH_BODY, *REPEATABLE, *WRITE, InvalidState, TenantExists, PlanNotAllowed, QuotaExceeded),
    hooks=("tenant.move",),
)
def move_tenant(call: Call, tenant_id: str) -> Response:
    """Move a tenant to another partner, who may have it. Both learn of it by an event `tenant.moved`."""
    call.require_administrator("Only an administrator may move a tenant.")
    asked, body = call.asked(write_query()), call.body(JSON)
    partner = load(move_input(), body)["partner"]
    work = partial(move, actor=call.actor(), target=target(call, tenant_id), partner=partner)
    return write(call, work, partial(shown, call), body=body, validate_only=asked["validate_only"])
