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
from .mount import Api
from .partners import actions as partners
from .partners.models import Partner
from .partners.routes import make_descendant_check
from .tenants.listing import count_by_status
from .validation import PartnerIdField, StrictSchema, TextField
from .web.headers import CSV, JSON, negotiate
from .web.long_requests import cut_off
from .web.pagination import MAX_PAGE_SIZE, PageSizeField, open_cursor, reject_page_parameters, render_page
from .web.parameters import QuerySchema
from .web.request import Read, Request, partner_scope
from .web.routing import Routes

DEFAULT_LIMIT = 50


class TenantCountSchema(StrictSchema):
    """How many tenants are in each status."""

    active = fields.Integer()
    suspended = fields.Integer()
    provisioning = fields.Integer()
    failed = fields.Integer()
    deleted = fields.Integer()
    total = fields.Integer()


class PartnerUsageSchema(StrictSchema):
    """How many tenants a partner has, and how many more it may have; deleted ones do not count against its limit."""

    partner = fields.String()
    name = fields.String(allow_none=True)
    status = fields.String()
    tenants = fields.Nested(TenantCountSchema)
    max_tenants = fields.Integer(allow_none=True)
    remaining = fields.Integer(allow_none=True)


class UsagePageSchema(StrictSchema):
    """One page of the report; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(PartnerUsageSchema))
    next = fields.String(allow_none=True)


class UsageQuery(QuerySchema):
    """What `GET /usage` can be asked; an administrator may name the partner, and so may one above it."""

    partner = PartnerIdField()
    limit = PageSizeField()
    cursor = TextField(min_length=1, max_length=4096)


_QUERY = UsageQuery()


def usage_query(_api: Api | None = None) -> UsageQuery:
    """The schema of `GET /usage`'s parameters; made once."""
    return _QUERY


routes = Routes()
_CSV_SCHEMA = {"type": "string"}


@routes.add(
    "GET",
    "/usage",
    permissions=("partner:read",),
    query=usage_query,
    responses={200: {JSON: UsagePageSchema, CSV: _CSV_SCHEMA}},
    problems=(InvalidParameter, InvalidCursor, PartnerNotFound),
)
def read_usage(call: Request) -> Response:
    """Report how many tenants partners have, and how many more they may: a page of JSON at a time, or all as CSV.

    A partner sees its own row, and those of the partners below it. The CSV breaks off, with the connection, once the
    token expires or the partner is suspended.
    """
    asked, kind = call.query(usage_query(), make_descendant_check(call)), negotiate(JSON, CSV)
    answer = _json_response(call, asked) if kind == JSON else _csv_response(call, asked)
    answer.vary.add("Accept")
    return answer


def _json_response(call: Request, asked: dict[str, Any]) -> Response:
    question = repr(("usage", asked.get("partner"), partner_scope(call)))
    after = open_cursor(call, asked, question)
    if "partner" in asked:
        return render_page(call, _read_one(call, asked["partner"]), None, "")
    work = partial(list_usage, limit=asked.get("limit", DEFAULT_LIMIT), after=after, within=partner_scope(call))
    found, end = call.mount.storage.read(work)
    return render_page(call, found, end, question)


def _csv_response(call: Request, asked: dict[str, Any]) -> Response:
    reject_page_parameters(asked)
    read = call.read_while_admitted("partner:read")
    rows = _read_one(call, asked["partner"]) if "partner" in asked else iter_usage(read, partner_scope(call))
    headers = {"Content-Disposition": 'attachment; filename="usage.csv"'}
    return Response(cut_off(render_csv(rows)), content_type=f"{CSV}; charset=utf-8; header=present", headers=headers)


def _read_one(call: Request, one: str) -> list[dict[str, Any]]:
    return call.mount.storage.read(partial(read_partner_usage, partner_id=one))


Document = dict[str, Any]
#: The statuses of tenants, in the order in which the report has them.
TENANT_STATUSES = ("active", "suspended", "provisioning", "failed", "deleted")


def list_usage(
    session: Session, limit: int, after: str | None, within: str | None = None
) -> tuple[list[Document], str | None]:
    """The rows of partners behind the id `after`, by their ids, and the last one's id where more follow.

    `within` means that partner and all below it.
    """
    found, end = partners.load_page(session, limit, after, within=within)
    return _build_rows(session, found), end


def iter_usage(read: Read, within: str | None = None) -> Iterator[Document]:
    """All such rows, page by page: each is read by itself, so that a slow reader holds up nobody."""
    after: str | None = None
    while True:
        found, after = read(partial(list_usage, limit=MAX_PAGE_SIZE, after=after, within=within))
        yield from found
        if after is None:
            return


def read_partner_usage(session: Session, partner_id: str) -> list[Document]:
    """The row of this partner. Raises `PartnerNotFound`."""
    return _build_rows(session, [partners.load_partner(session, partner_id)])


def _build_rows(session: Session, found: Sequence[Partner]) -> list[Document]:
    counts = count_by_status(session, [one.partner_id for one in found])
    return [_build_row(one, counts[one.partner_id]) for one in found]


def _build_row(partner: Partner, counts: Mapping[str, int]) -> Document:
    total, most = sum(counts.values()), partner.max_tenants
    living = total - counts["deleted"]
    return {
        "partner": partner.partner_id,
        "name": partner.name,
        "status": partner.status,
        "tenants": {**{name: counts[name] for name in TENANT_STATUSES}, "total": total},
        "max_tenants": most,
        "remaining": None if most is None else max(0, most - living),
    }


CSV_COLUMNS = ("partner", "name", "status", *TENANT_STATUSES, "total", "max_tenants", "remaining")


def flatten_row(row: Document) -> Document:
    """A row of the report in one level."""
    return {**row, **row["tenants"]}


def render_csv(rows: Iterable[Document]) -> Iterator[bytes]:
    """The header, then each row of the report. No text is a formula to a spreadsheet."""
    line = make_csv_writer(csv.QUOTE_MINIMAL)
    yield line(CSV_COLUMNS)
    for row in rows:
        cells = {**flatten_row(row), "partner": escape_formula(row["partner"]), "name": escape_formula(row["name"])}
        yield line(map(cells.get, CSV_COLUMNS))
