"""The HTTP of the report."""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Response

from ..partners.requests import below
from ..problems import InvalidCursor, InvalidParameter, PartnerNotFound
from ..web.long_requests import cut_off
from ..web.media_types import negotiated
from ..web.paging import paged, place
from ..web.parameters import refuse_pages
from ..web.requests import fence
from ..web.routing import CSV, JSON, Call, Routes
from . import actions
from .schemas import DEFAULT_LIMIT, UsagePageSchema, usage_query
from .sheet import sheet

routes = Routes()

_TEXT = {"type": "string"}


@routes.add(
    "GET",
    "/usage",
    permissions=("partner:read",),
    query=usage_query,
    answers={200: {JSON: UsagePageSchema, CSV: _TEXT}},
    problems=(InvalidParameter, InvalidCursor, PartnerNotFound),
)
def read_usage(call: Call) -> Response:
    """Report how many tenants partners have, and how many more they may: a page of JSON at a time, or all as CSV.

    A partner sees its own row, and those of the partners below it. The CSV breaks off, with the connection, once the
    token expires or the partner is suspended.
    """
    asked, kind = call.asked(usage_query(), below(call)), negotiated(JSON, CSV)
    answer = _page(call, asked) if kind == JSON else _sheet(call, asked)
    answer.vary.add("Accept")
    return answer


def _page(call: Call, asked: dict[str, Any]) -> Response:
    question = repr(("usage", asked.get("partner"), fence(call)))
    after = place(call, asked, question)
    if "partner" in asked:
        return paged(call, _of(call, asked["partner"]), None, "")
    work = partial(actions.page, limit=asked.get("limit", DEFAULT_LIMIT), after=after, within=fence(call))
    found, end = call.mount.storage.read(work)
    return paged(call, found, end, question)


def _sheet(call: Call, asked: dict[str, Any]) -> Response:
    refuse_pages(asked)
    read = call.read_while_admitted("partner:read")
    rows = _of(call, asked["partner"]) if "partner" in asked else actions.every(read, fence(call))
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(cut_off(sheet(rows)), content_type=f"{CSV}; charset=utf-8; header=present", headers=headers)


def _of(call: Call, one: str) -> list[dict[str, Any]]:
    return call.mount.storage.read(partial(actions.one, partner_id=one))
