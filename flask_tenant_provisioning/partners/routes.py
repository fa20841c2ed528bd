"""The HTTP of partners. Administrators manage them; a partner may read itself and the partners below it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Response

from ..access.principal import is_partner_id
from ..errors import InvalidCursor, InvalidParameter, PartnerNotFound
from ..responses import escape_segment
from ..validation import load, make_entry, make_invalid_input
from ..web.headers import JSON, MERGE_PATCH, format_etag, is_not_modified
from ..web.pagination import open_cursor, render_page
from ..web.parameters import NoQuery, WriteQuery
from ..web.request import INVALID_UTF8, Request, is_path_utf8, make_precondition_check, partner_scope
from ..web.routing import BODY_PROBLEMS, IDEMPOTENCY_PROBLEMS, PRECONDITION_PROBLEMS, Routes
from ..web.write import Result, execute
from . import actions, hierarchy
from .cache import PartnerCache
from .models import Partner
from .schemas import PartnerListQuery, PartnerPageSchema, PartnerSchema, validate_partner_id

routes = Routes()
PARTNERS_PATH = "/partners"
PARTNER_PATH = f"{PARTNERS_PATH}/<path:partner_id>"


@routes.add(
    "GET",
    PARTNERS_PATH,
    permissions=("partner:read",),
    query=PartnerListQuery,
    responses={200: PartnerPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_partners(call: Request) -> Response:
    """List partners by id, a page at a time. Administrators see all of them, others their own and those below it."""
    query, within = call.query(PartnerListQuery), partner_scope(call)
    filters: dict[str, Any] = {"status": query.get("status"), "parent": query.get("parent"), "within": within}
    cursor_scope = repr(("partners", *filters.values()))
    after = open_cursor(call, query, cursor_scope)
    work = partial(actions.load_page, limit=query["limit"], after=after, **filters)
    partners, end = call.mount.storage.read(work)
    return render_page(call, [partner.document() for partner in partners], end, cursor_scope)


@routes.add(
    "GET",
    PARTNER_PATH,
    permissions=("partner:read",),
    responses={200: PartnerSchema, 304: None},
    problems=(InvalidParameter, PartnerNotFound),
)
def read_partner(call: Request, partner_id: str) -> Response:
    """Read a partner."""
    call.query(NoQuery)
    partner_id = parse_partner_id(partner_id)
    if partner_scope(call) not in (None, partner_id) and not make_descendant_check(call)(partner_id):
        raise PartnerNotFound
    result = _render_partner(call.mount.storage.read(partial(actions.load_partner, partner_id=partner_id)))
    if is_not_modified(result.document["version"]):
        return Response(status=304, headers=result.headers)
    return call.json_response(result.document, result.headers)


@routes.add(
    "PUT",
    PARTNER_PATH,
    permissions=("partner:manage",),
    body=PartnerSchema,
    query=WriteQuery,
    responses={200: PartnerSchema, 201: PartnerSchema},
    problems=(*BODY_PROBLEMS, *PRECONDITION_PROBLEMS),
)
def put_partner(call: Request, partner_id: str) -> Response:
    """Register a partner, or replace every writable field of an existing one."""
    require_partner_manager(call)
    query, body = call.query(WriteQuery), call.body(JSON)
    values = load(call.mount.schema(PartnerSchema), body)
    work = partial(
        actions.put_partner,
        actor=call.actor(),
        partner_id=parse_new_partner_id(partner_id),
        values=values,
        check_version=make_precondition_check(call),
    )

    def render(result: tuple[Partner, bool]) -> Result:
        partner, is_created = result
        if not is_created:
            return _render_partner(partner)
        location = f"{call.mount.base_path()}{PARTNERS_PATH}/{escape_segment(partner_id)}"
        return _render_partner(partner, 201, Location=location)

    response = execute(call, work, render, body=body, validate_only=query["validate_only"])
    call.mount.once(PartnerCache).invalidate(partner_id)
    return response


@routes.add(
    "PATCH",
    PARTNER_PATH,
    permissions=("partner:manage",),
    body=PartnerSchema,
    consumes=(MERGE_PATCH, JSON),
    query=WriteQuery,
    responses={200: PartnerSchema},
    problems=(*BODY_PROBLEMS, *IDEMPOTENCY_PROBLEMS, *PRECONDITION_PROBLEMS, PartnerNotFound),
)
def patch_partner(call: Request, partner_id: str) -> Response:
    """Change some fields of a partner (RFC 7396). Once it is `suspended`, its requests are 403 `partner-suspended`."""
    require_partner_manager(call)
    query, body = call.query(WriteQuery), call.body(MERGE_PATCH, JSON)
    values = load(call.mount.schema(PartnerSchema), body, partial=True)
    partner_id = parse_partner_id(partner_id)
    work = partial(
        actions.update_partner,
        actor=call.actor(),
        partner_id=partner_id,
        values=values,
        check_version=make_precondition_check(call),
    )
    response = execute(call, work, _render_partner, body=body, validate_only=query["validate_only"])
    call.mount.once(PartnerCache).invalidate(partner_id)
    return response


def _render_partner(partner: Partner, status: int = 200, **headers: str) -> Result:
    return Result(status, partner.document(), {"ETag": format_etag(partner.version), **headers})


def make_descendant_check(call: Request) -> Callable[[str], bool]:
    """Return a function that tells whether a partner is below the caller's."""
    ancestor = call.principal.partner
    return lambda name: call.mount.storage.read(partial(hierarchy.is_descendant, partner_id=name, ancestor=ancestor))


def parse_new_partner_id(partner_id: str) -> str:
    """Return the id of a new partner from the path. Raises `InvalidInput` if it is not a valid partner id."""
    if not is_path_utf8():
        raise make_invalid_input([make_entry(INVALID_UTF8, "partner")])
    return validate_partner_id(partner_id)


def parse_partner_id(partner_id: str) -> str:
    """Return the id of a partner from the path. Raises `PartnerNotFound` if it is not a valid partner id."""
    if not is_path_utf8() or not is_partner_id(partner_id):
        raise PartnerNotFound
    return partner_id


def require_partner_manager(call: Request) -> None:
    """Raise `Forbidden` unless the caller is an administrator: partners must not raise their own quota."""
    call.require_administrator("Only an administrator may change a partner.")
