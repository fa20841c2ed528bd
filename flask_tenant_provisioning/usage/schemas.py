"""What the report shows, and what it can be asked."""

from __future__ import annotations

from marshmallow import fields

from ..web.api import Api
from ..web.parameters import LimitField, QuerySchema
from ..web.validation import PartnerIdField, StrictSchema, TextField

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
    limit = LimitField()
    cursor = TextField(shortest=1, longest=4096)


_QUERY = UsageQuery()


def usage_query(_api: Api | None = None) -> UsageQuery:
    """The schema of `GET /usage`'s parameters; made once."""
    return _QUERY
