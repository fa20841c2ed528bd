"""What may come in about a partner, what goes out, and what can be asked."""

from __future__ import annotations

from marshmallow import fields

from ..web.api import Api
from ..web.parameters import ChoiceField, LimitField, QuerySchema
from ..web.validation import NULL, StrictSchema, TextField
from .models import STATUSES

DEFAULT_LIMIT = 50


class StatusField(ChoiceField):
    """Whether its requests are let pass."""

    default_error_messages = {"null": [NULL]}  # noqa: RUF012


class PartnerSchema(StrictSchema):
    """A partner."""

    partner = fields.String(dump_only=True)
    name = TextField(shortest=1, longest=255, trim=True, allow_none=True)
    contact = TextField(shortest=1, longest=255, allow_none=True)
    status = StatusField(*STATUSES)
    suspended_reason = TextField(shortest=1, longest=500, allow_none=True)
    version = fields.Integer(dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True)
    updated_at = fields.AwareDateTime(dump_only=True)


class PartnerPageSchema(StrictSchema):
    """One page of partners; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(PartnerSchema))
    next = fields.String(allow_none=True)


class PartnerListQuery(QuerySchema):
    """What `GET /partners` can be asked."""

    status = ChoiceField(*STATUSES)
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)


_INPUT, _LIST = PartnerSchema(), PartnerListQuery()


def partner_input(_api: Api | None = None) -> PartnerSchema:
    """The schema of what an administrator sends; made once."""
    return _INPUT


def partner_list_query(_api: Api | None = None) -> PartnerListQuery:
    """The schema of `GET /partners`'s parameters; made once."""
    return _LIST
