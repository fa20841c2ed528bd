"""Request bodies, responses and query parameters of the settings routes."""

from __future__ import annotations

from marshmallow import fields, validate

from ..events.schemas import ChangeSchema
from ..validation import StrictSchema, TextField, WholeNumberField, describe
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
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

    version = fields.Integer(
        metadata=describe("The number of the current version; 0 until something is set. `ETag` has it in quotes.", 3)
    )
    effective = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(),
        metadata=describe("The values that apply to the tenant, wherever they come from, by namespace and key."),
    )
    explicit = fields.Dict(
        keys=fields.String(),
        values=fields.Dict(),
        metadata=describe("The values that were set here rather than inherited, by namespace and key."),
    )
    sources = fields.Dict(
        keys=fields.String(),
        values=fields.String(validate=validate.OneOf((TENANT, PLAN, PARTNER, DEFAULT))),
        metadata=describe(
            "Where each effective value comes from, by namespace and key with a dot between them.",
            {"mail.daily": "plan"},
        ),
    )


class SettingsActorSchema(StrictSchema):
    """The author of a version."""

    sub = fields.String(
        metadata=describe("The subject of the token with which the version was made.", "admin@acme.example")
    )
    partner = fields.String(metadata=describe("The partner on whose behalf it was made.", "acme"))


class SettingsVersionSchema(StrictSchema):
    """One version of settings: its author, its time, and each changed key. Secrets are shown as `********`."""

    version = fields.Integer(metadata=describe("The number of the version.", 1))
    timestamp = fields.AwareDateTime(metadata=describe("The time of the version."))
    actor = fields.Nested(SettingsActorSchema)
    request_id = fields.String(
        allow_none=True,
        metadata=describe("The id of the request that made the version; null if there was none.", "5f2b3a0c"),
    )
    changes = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ChangeSchema),
        metadata=describe(
            "Each changed key, as namespace and key with a dot between them, with its values before and after.",
            {"mail.daily": {"previous": 100, "new": 200}},
        ),
    )


class SettingsHistorySchema(StrictSchema):
    """One page of versions, newest first; `next` is the cursor of the next page."""

    items = fields.List(
        fields.Nested(SettingsVersionSchema),
        metadata=describe("The versions of this page, up to `limit`, newest first."),
    )
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


class RollbackSchema(StrictSchema):
    """The version to set again."""

    version = VersionField(
        most=MAX_VERSION,
        required=True,
        metadata=describe(
            "The version whose values are set again; 0 sets nothing, so that everything is inherited.", 1
        ),
    )


class SettingsHistoryQuery(QuerySchema):
    """Query parameters of a list of versions."""

    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )
