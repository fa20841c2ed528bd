"""How events are shown, and what their feed can be asked."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import fields, validate

from ..errors import Fault
from ..mount import Api
from ..validation import PartnerIdField, StrictSchema, TextField, make_field_error
from ..web.pagination import PageSizeField
from ..web.parameters import QuerySchema
from .feed import DEFAULT_PAGE_SIZE

#: Every type of event.
EVENT_TYPES = (
    "tenant.created",
    "tenant.provisioned",
    "tenant.provisioning_failed",
    "tenant.updated",
    "tenant.suspended",
    "tenant.reactivated",
    "tenant.deleted",
    "tenant.restored",
    "tenant.moved",
    "tenant.purged",
    "tenant.settings_updated",
    "bulk_job.finished",
    "partner.updated",
    "partner.settings_updated",
    "webhook.created",
    "webhook.updated",
    "webhook.rotated",
    "webhook.deleted",
    "webhook.disabled",
)
_AUDIT_ONLY = {"optional": True, "description": "Only for callers with `audit:read`."}
_ANY_JSON = {"type": ["string", "integer", "number", "boolean", "object", "array", "null"]}
UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class TypesField(TextField):
    """Types of events, separated by commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=500, **options)

    def validate_text(self, value: str) -> Any:
        """The types, each once."""
        wanted = tuple(dict.fromkeys(value.split(",")))
        if strangers := [name for name in wanted if name not in EVENT_TYPES]:
            raise make_field_error(Fault("invalid-choice", f"{strangers[0]!r} is none of: {', '.join(EVENT_TYPES)}."))
        return wanted


class TenantIdField(TextField):
    """A tenant's id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, **options)

    def validate_text(self, value: str) -> str:
        """The id in its canonical form."""
        if not UUID_PATTERN.fullmatch(value):
            raise make_field_error(Fault("invalid-id", "Must be the id of a tenant."))
        return value.lower()


class EventQuery(QuerySchema):
    """What `GET /events` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    after = TextField(min_length=1, max_length=4096)
    type = TypesField()
    tenant = TenantIdField()
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)


class ActorSchema(StrictSchema):
    """Who did it; `address` and `user_agent` are shown to callers with `audit:read`."""

    sub = fields.String(allow_none=True)
    partner = fields.String(allow_none=True)
    address = fields.String(allow_none=True, metadata=_AUDIT_ONLY)
    user_agent = fields.String(allow_none=True, metadata=_AUDIT_ONLY)


class ChangeSchema(StrictSchema):
    """What a field was, and what it is."""

    previous = fields.Raw(metadata=_ANY_JSON)
    new = fields.Raw(metadata=_ANY_JSON)


class EventSchema(StrictSchema):
    """Something that happened. `data` is the tenant or webhook afterwards, `changes` holds each field that changed.

    Of an endpoint, callers without `webhook:read` are shown no more than its id.

    Of an object such as `metadata`, `previous` and `new` hold the members that differ; one that is missing was absent.
    Some days after a tenant is purged, `data` no longer says who it was, and has `erased: true`.
    """

    id = fields.UUID()
    type = fields.String(validate=validate.OneOf(EVENT_TYPES))
    timestamp = fields.AwareDateTime()
    partner = fields.String()
    tenant = fields.UUID(allow_none=True)
    request_id = fields.String(allow_none=True)
    actor = fields.Nested(ActorSchema)
    data = fields.Dict(keys=fields.String())
    changes = fields.Dict(keys=fields.String(), values=fields.Nested(ChangeSchema))


class EventPageSchema(StrictSchema):
    """A piece of the feed. `next` is always there: what comes later is read with it; `has_more` says: at once."""

    items = fields.List(fields.Nested(EventSchema))
    next = fields.String()
    has_more = fields.Boolean()


def event_query(_api: Api | None = None) -> EventQuery:
    """The schema of `GET /events`'s parameters; made once."""
    return _QUERY


_QUERY = EventQuery()
