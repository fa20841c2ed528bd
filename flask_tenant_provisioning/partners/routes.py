"""The HTTP of partners: an administrator's, but that each partner may read itself."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from ..problems import (
    InvalidCursor,
    InvalidParameter,
    PartnerNotFound,
)
from ..problems.addresses import escaped
from ..web.paging import paged, place
from ..web.parameters import NO_QUERY, write_query
from ..web.preconditions import etag, not_modified
from ..web.requests import CONDITIONAL, REPEATABLE, WITH_BODY, expectation, fence
from ..web.routing import JSON, MERGE_PATCH, Call, Routes
from ..web.validation import load
from ..web.writing import Answer, write
from . import actions
from .models import Partner
from .requests import below, known_partner, new_partner, require_manager
from .schemas import PartnerPageSchema, PartnerSchema, partner_input, partner_list_query
from .standing import standings

routes = Routes()

PARTNERS = "/partners"
PARTNER = f"{PARTNERS}/<path:partner_id>"


@routes.add(
    "GET",
    PARTNERS,
    permissions=("partner:read",),
    query=partner_list_query,
    answers={200: PartnerPageSchema},
    problems=(InvalidParameter, InvalidCursor),
)
def list_partners(call: Call) -> Response:
    """List partners by their ids, a page at a time: all, or the caller's own and those below it."""
    asked, within = call.asked(partner_list_query()), fence(call)
    wanted: dict[str, Any] = {"status": asked.get("status"), "parent": asked.get("parent"), "within": within}
    question = repr(("partners", *wanted.values()))
    after = place(call, asked, question)
    work = partial(actions.page, limit=asked["limit"], after=after, **wanted)
    found, end = call.mount.storage.read(work)
    return paged(call, [one.document() for one in found], end, question)


@routes.add(
    "GET",
    PARTNER,
    permissions=("partner:read",),
    answers={200: PartnerSchema, 304: None},
    problems=(InvalidParameter, PartnerNotFound),
)
def read_partner(call: Call, partner_id: str) -> Response:
    """Read a partner."""
    call.asked(NO_QUERY)
    partner_id = known_partner(partner_id)
    if fence(call) not in (None, partner_id) and not below(call)(partner_id):
        raise PartnerNotFound
    answer = _shown(call.mount.storage.read(partial(actions.read, partner_id=partner_id)))
    if not_modified(answer.document["version"]):
        return Response(status=304, headers=answer.headers)
    return call.answer(answer.document, answer.headers)


@routes.add(
    "PUT",
    PARTNER,
    permissions=("partner:manage",),
    body=partner_input,
    query=write_query,
    answers={200: PartnerSchema, 201: PartnerSchema},
    problems=(*WITH_BODY, *CONDITIONAL),
)
def put_partner(call: Call, partner_id: str) -> Response:
    """Register a partner, or replace every writable field of one."""
    require_manager(call)
    asked, body = call.asked(write_query()), call.body(JSON)
    values = load(partner_input(call.mount), body)
    work = partial(
        actions.put, actor=call.actor(), partner_id=new_partner(partner_id), values=values, expected=expectation(call)
    )

    def answer(found: tuple[Partner, bool]) -> Answer:
        one, new = found
        where = {"Location": f"{call.mount.base()}{PARTNERS}/{escaped(partner_id)}"} if new else {}
        return _shown(one, 201 if new else 200, **where)

    return _written(call, partner_id, write(call, work, answer, body=body, validate_only=asked["validate_only"]))


@routes.add(
    "PATCH",
    PARTNER,
    permissions=("partner:manage",),
    body=partner_input,
    consumes=(MERGE_PATCH, JSON),
    query=write_query,
    answers={200: PartnerSchema},
    problems=(*WITH_BODY, *REPEATABLE, *CONDITIONAL, PartnerNotFound),
)
def patch_partner(call: Call, partner_id: str) -> Response:
    """Change some fields of a partner (RFC 7396). Once it is `suspended`, its requests are 403 `partner-suspended`."""
    require_manager(call)
    asked, body = call.asked(write_query()), call.body(MERGE_PATCH, JSON)
    values = load(partner_input(call.mount), body, partial=True)
    partner_id = known_partner(partner_id)
    work = partial(actions.revise, actor=call.actor(), partner_id=partner_id, values=values, expected=expectation(call))
    return _written(call, partner_id, write(call, work, _shown, body=body, validate_only=asked["validate_only"]))


def _shown(partner: Partner, status: int = 200, **headers: str) -> Answer:
    return Answer(status, partner.document(), {"ETag": etag(partner.version), **headers})


def _written(call: Call, partner_id: str, answer: Response) -> Response:
    standings(call.mount).forget(partner_id)
    return answer
