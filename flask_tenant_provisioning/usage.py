"""The usage report: how many tenants each partner has, and how many more it may have."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from flask import Response
from marshmallow import fields

from .database.session import Session
from .encoding import escape_formula, make_csv_writer
from .errors import InvalidCursor, InvalidParameter, PartnerNotFound
from .partners import actions as partners
from .partners.models import Partner
from .partners.routes import make_descendant_check
from .tenants.listing import count_by_status
from .validation import PartnerIdField, StrictSchema, TextField, describe
from .web.headers import CSV, JSON, negotiate
from .web.pagination import (
    CURSOR,
    JSON_PAGE_SIZE,
    MAX_PAGE_SIZE,
    NEXT_CURSOR,
    PageSizeField,
    open_cursor,
    reject_page_parameters,
    render_page,
)
from .web.parameters import QuerySchema
from .web.request import Read, Request, partner_scope
from .web.routing import Routes
from .web.streaming import cut_off

DEFAULT_LIMIT = 50


class TenantCountSchema(StrictSchema):
    """The number of tenants in each status."""

    active = fields.Integer(metadata=describe("The number of tenants that are `active`.", 80))
    suspended = fields.Integer(metadata=describe("The number of tenants that are `suspended`.", 2))
    provisioning = fields.Integer(metadata=describe("The number of tenants that are `provisioning`.", 1))
    failed = fields.Integer(metadata=describe("The number of tenants that are `failed`.", 0))
    deleted = fields.Integer(
        metadata=describe("The number of tenants that are `deleted` and can still be restored.", 5)
    )
    total = fields.Integer(metadata=describe("The number of all tenants, deleted ones included.", 88))


class PartnerUsageSchema(StrictSchema):
    """A partner's tenants, and how many more it may have; deleted tenants do not count against the limit."""

    partner = fields.String(metadata=describe("The id of the partner.", "acme"))
    name = fields.String(
        allow_none=True, metadata=describe("The name of the partner; null if none is known.", "Acme Ltd")
    )
    status = fields.String(metadata=describe("The status of the partner: `active` or `suspended`.", "active"))
    tenants = fields.Nested(TenantCountSchema)
    max_tenants = fields.Integer(
        allow_none=True,
        metadata=describe("How many tenants the partner may have, without deleted ones; null for no limit.", 100),
    )
    remaining = fields.Integer(
        allow_none=True, metadata=describe("How many more tenants the partner may create; null for no limit.", 17)
    )


class UsagePageSchema(StrictSchema):
    """One page of the report; `next` is the cursor of the next page."""

    items = fields.List(
        fields.Nested(PartnerUsageSchema), metadata=describe("The partners of this page, up to `limit`.")
    )
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


class UsageQuery(QuerySchema):
    """The query parameters of `GET /usage`. An administrator, or a partner above it, may name a `partner`."""

    partner = PartnerIdField(
        metadata=describe(
            "Only this partner. An administrator may name any partner, and a partner those below it.", "acme"
        )
    )
    limit = PageSizeField(metadata=JSON_PAGE_SIZE)
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


routes = Routes()
_CSV_SCHEMA = {
    "type": "string",
    "description": "The whole report; its first row names the columns.",
    "examples": [
        (
            "partner,name,status,active,suspended,provisioning,failed,deleted,total,max_tenants,remaining\r\n"
            "acme,Acme Ltd,active,80,2,1,0,5,88,100,17\r\n"
        )
    ],
}


@routes.add(
    "GET",
    "/usage",
    permissions=("partner:read",),
    query=UsageQuery,
    responses={200: {JSON: UsagePageSchema, CSV: _CSV_SCHEMA}},
    problems=(InvalidParameter, InvalidCursor, PartnerNotFound),
)
def read_usage(call: Request) -> Response:
    """Report how many tenants partners have and may have. The report comes as pages of JSON, or as one CSV.

    A partner sees its own row and those of the partners below it. The CSV response is cut off, with the connection,
    once the token expires or the partner is suspended.
    """
    query, media_type = call.query(UsageQuery, make_descendant_check(call)), negotiate(JSON, CSV)
    response = _make_json_response(call, query) if media_type == JSON else _make_csv_response(call, query)
    response.vary.add("Accept")
    return response


def _make_json_response(call: Request, query: dict[str, Any]) -> Response:
    cursor_scope = repr(("usage", query.get("partner"), partner_scope(call)))
    after = open_cursor(call, query, cursor_scope)
    if "partner" in query:
        return render_page(call, _read_one(call, query["partner"]), None, "")
    work = partial(list_usage, limit=query.get("limit", DEFAULT_LIMIT), after=after, within=partner_scope(call))
    rows, last_id = call.mount.storage.read(work)
    return render_page(call, rows, last_id, cursor_scope)


def _make_csv_response(call: Request, query: dict[str, Any]) -> Response:
    reject_page_parameters(query)
    read = call.read_while_admitted("partner:read")
    rows = _read_one(call, query["partner"]) if "partner" in query else iter_usage(read, partner_scope(call))
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(cut_off(render_csv(rows)), content_type=f"{CSV}; charset=utf-8; header=present", headers=headers)


def _read_one(call: Request, partner_id: str) -> list[dict[str, Any]]:
    return call.mount.storage.read(partial(read_partner_usage, partner_id=partner_id))


Document = dict[str, Any]
#: The tenant statuses in the order of the report's columns.
TENANT_STATUSES = ("active", "suspended", "provisioning", "failed", "deleted")


def list_usage(
    session: Session, limit: int, after: str | None, within: str | None = None
) -> tuple[list[Document], str | None]:
    """Return a page of rows after the partner id `after`, in the order of ids, and the last id if more follow.

    `within` limits the rows to that partner and all below it.
    """
    page, last_id = partners.load_page(session, limit, after, within=within)
    return _build_rows(session, page), last_id


def iter_usage(read: Read, within: str | None = None) -> Iterator[Document]:
    """Iterate over all rows, page by page. Each page is its own transaction: a slow reader blocks no writer."""
    after: str | None = None
    while True:
        rows, after = read(partial(list_usage, limit=MAX_PAGE_SIZE, after=after, within=within))
        yield from rows
        if after is None:
            return


def read_partner_usage(session: Session, partner_id: str) -> list[Document]:
    """Return the row of this partner, as a list. Raises `PartnerNotFound`."""
    return _build_rows(session, [partners.load_partner(session, partner_id)])


def _build_rows(session: Session, page: Sequence[Partner]) -> list[Document]:
    counts = count_by_status(session, [partner.partner_id for partner in page])
    return [_build_row(partner, counts[partner.partner_id]) for partner in page]


def _build_row(partner: Partner, counts: Mapping[str, int]) -> Document:
    total, max_tenants = sum(counts.values()), partner.max_tenants
    living = total - counts["deleted"]
    return {
        "partner": partner.partner_id,
        "name": partner.name,
        "status": partner.status,
        "tenants": {**{name: counts[name] for name in TENANT_STATUSES}, "total": total},
        "max_tenants": max_tenants,
        "remaining": None if max_tenants is None else max(0, max_tenants - living),
    }


CSV_COLUMNS = ("partner", "name", "status", *TENANT_STATUSES, "total", "max_tenants", "remaining")


def flatten_row(row: Document) -> Document:
    """Return a row of the report without nesting."""
    return {**row, **row["tenants"]}


def render_csv(rows: Iterable[Document]) -> Iterator[bytes]:
    """Render the header and the rows. Texts are escaped against spreadsheet formulas."""
    line = make_csv_writer(csv.QUOTE_MINIMAL)
    yield line(CSV_COLUMNS)
    for row in rows:
        cells = {**flatten_row(row), "partner": escape_formula(row["partner"]), "name": escape_formula(row["name"])}
        yield line(map(cells.get, CSV_COLUMNS))
