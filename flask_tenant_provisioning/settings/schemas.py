"""What may come in about settings, what goes out, and what can be asked."""

from __future__ import annotations

from marshmallow import fields, validate

from ..events.schemas import ChangeSchema
from ..mount import Api
from ..validation import StrictSchema, TextField, WholeNumberField
from ..web.pagination import PageSizeField
from ..web.parameters import QuerySchema
from .resolution import DEFAULT, PARTNER, PLAN, TENANT

DEFAULT_PAGE_SIZE = 50
#: The greatest number that a version can have.
MAX_VERSION = (1 << 31) - 1


class VersionField(WholeNumberField):
    """The number of a version; 0 is the one in which nothing was set."""


class ExplicitSettingsSchema(StrictSchema):
    """What is set, by namespace and key. A secret that comes as `********` stays as it is."""


class SettingsSchema(StrictSchema):
    """Settings: what counts, what of it is set here, and who sets each key. Secrets are shown as `********`."""

    version = fields.Integer()
    effective = fields.Dict(keys=fields.String(), values=fields.Dict())
    explicit = fields.Dict(keys=fields.String(), values=fields.Dict())
    sources = fields.Dict(
        keys=fields.String(), values=fields.String(validate=validate.OneOf((TENANT, PLAN, PARTNER, DEFAULT)))
    )


class SettingsActorSchema(StrictSchema):
    """Who did it."""

    sub = fields.String()
    partner = fields.String()


class SettingsVersionSchema(StrictSchema):
    """One version of settings: who set it, when, and each key that changed. Secrets are shown as `********`."""

    version = fields.Integer()
    timestamp = fields.AwareDateTime()
    actor = fields.Nested(SettingsActorSchema)
    request_id = fields.String(allow_none=True)
    changes = fields.Dict(keys=fields.String(), values=fields.Nested(ChangeSchema))


class SettingsHistorySchema(StrictSchema):
    """One page of versions, the newest first; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(SettingsVersionSchema))
    next = fields.String(allow_none=True)


class RollbackSchema(StrictSchema):
    """Which version is to be set again."""

    version = VersionField(most=MAX_VERSION, required=True)


class SettingsHistoryQuery(QuerySchema):
    """What a list of versions can be asked."""

    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)


_EXPLICIT, _ROLLBACK, _HISTORY = ExplicitSettingsSchema(), RollbackSchema(), SettingsHistoryQuery()


def settings_input(_api: Api | None = None) -> ExplicitSettingsSchema:
    """The schema of what clients set, which a host's namespaces fill in; made once."""
    return _EXPLICIT


def rollback_input(_api: Api | None = None) -> RollbackSchema:
    """The schema of a rollback; made once."""
    return _ROLLBACK


def history_query(_api: Api | None = None) -> SettingsHistoryQuery:
    """The schema of a history's parameters; made once."""
    return _HISTORY
