"""Request bodies, responses and query parameters of the settings routes."""

from __future__ import annotations

from marshmallow import fields, validate

from ..events.schemas import ChangeSchema
from ..validation import StrictSchema, TextField, WholeNumberField
from ..web.pagination import PageSizeField
from ..web.parameters import QuerySchema
from .models import MAX_VERSION
from .resolution import DEFAULT, PARTNER, PLAN, TENANT

DEFAULT_PAGE_SIZE = 50


class VersionField(WholeNumberField):
    """A version number; version 0 sets nothing."""


class ExplicitSettingsSchema(StrictSchema):
    """Values by namespace and key. A secret that is sent as `********` stays unchanged."""


class SettingsSchema(StrictSchema):
    """Settings: the effective values, the explicit ones and the source of each key. Secrets are shown as `********`."""

    version = fields.Integer()
    effective = fields.Dict(keys=fields.String(), values=fields.Dict())
    explicit = fields.Dict(keys=fields.String(), values=fields.Dict())
    sources = fields.Dict(
        keys=fields.String(), values=fields.String(validate=validate.OneOf((TENANT, PLAN, PARTNER, DEFAULT)))
    )


class SettingsActorSchema(StrictSchema):
    """The author of a version."""

    sub = fields.String()
    partner = fields.String()


class SettingsVersionSchema(StrictSchema):
    """One version of settings: its author, its time, and each changed key. Secrets are shown as `********`."""

    version = fields.Integer()
    timestamp = fields.AwareDateTime()
    actor = fields.Nested(SettingsActorSchema)
    request_id = fields.String(allow_none=True)
    changes = fields.Dict(keys=fields.String(), values=fields.Nested(ChangeSchema))


class SettingsHistorySchema(StrictSchema):
    """One page of versions, newest first; `next` is the cursor of the next page."""

    items = fields.List(fields.Nested(SettingsVersionSchema))
    next = fields.String(allow_none=True)


class RollbackSchema(StrictSchema):
    """The version to set again."""

    version = VersionField(most=MAX_VERSION, required=True)


class SettingsHistoryQuery(QuerySchema):
    """Query parameters of a list of versions."""

    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)
