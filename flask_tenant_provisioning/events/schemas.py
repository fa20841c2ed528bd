"""How events are shown, and what their feed can be asked."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import fields, validate

from ..problems import Fault
from ..web.api import Api
from ..web.parameters import LimitField, QuerySchema
from ..web.validation import PartnerIdField, StrictSchema, TextField, refused
from .feed import DEFAULT_LIMIT

#: Every type of event.
TYPES = (
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
_AUDIT = {"optional": True, "description": "Only for callers with `audit:read`."}
_ANYTHING = {"type": ["string", "integer", "number", "boolean", "object", "array", "null"]}
ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class TypesField(TextField):
    """Types of events, separated by commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(shortest=1, longest=500, **options)

    def accept(self, value: str) -> Any:
        """The types, each once."""
        wanted = tuple(dict.fromkeys(value.split(",")))
        if strangers := [name for name in wanted if name not in TYPES]:
            raise refused(Fault("invalid-choice", f"{strangers[0]!r} is none of: {', '.join(TYPES)}."))
        return wanted


class TenantIdField(TextField):
    """A tenant's id."""

    def __init__(self, **options: Any) -> None:
        super().__init__(longest=100, **options)

    def accept(self, value: str) -> str:
        """The id in its canonical form."""
        if not ID.fullmatch(value):
            raise refused(Fault("invalid-id", "Must be the id of a tenant."))
        return value.lower()


class EventQuery(QuerySchema):
    """What `GET /events` can be asked; an administrator may name the partner."""

    partner = PartnerIdField()
    after = TextField(shortest=1, longest=4096)
    type = TypesField()
    tenant = TenantIdField()
    limit = LimitField(load_default=DEFAULT_LIMIT)


class ActorSchema(StrictSchema):
    """Who did it; `address` and `user_agent` are shown to callers with `audit:read`."""

    sub = fields.String(allow_none=True)
    partner = fields.String(allow_none=True)
    address = fields.String(allow_none=True, metadata=_AUDIT)
    user_agent = fields.String(allow_none=True, metadata=_AUDIT)


class ChangeSchema(StrictSchema):
    """What a field was, and what it is."""

    previous = fields.Raw(metadata=_ANYTHING)
    new = fields.Raw(metadata=_ANYTHING)


class EventSchema(StrictSchema):
    """Something that happened. `data` is the tenant or webhook afterwards, `changes` holds each field that changed.

    Of an endpoint, callers without `webhook:read` are shown no more than its id.

    Of an object such as `metadata`, `previous` and `new` hold the members that differ; one that is missing was absent.
    Some days after a tenant is purged, `data` no longer says who it was, and has `erased: true`.
    """

    id = fields.UUID()
    type = fields.String(validate=validate.OneOf(TYPES))
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
