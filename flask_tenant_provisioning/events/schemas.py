"""The documents of events, the list of event types, and the parameters of `GET /events`."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import fields

from ..errors import Fault
from ..validation import PartnerIdField, StrictSchema, TextField, describe, make_field_error
from ..web.pagination import PageSizeField
from ..web.parameters import QuerySchema
from .feed import DEFAULT_PAGE_SIZE

#: Every type of event, with what it says.
EVENTS = {
    "tenant.created": "A tenant was created.",
    "tenant.provisioned": "All steps of a tenant's provisioning have succeeded: it is `active`.",
    "tenant.provisioning_failed": "A step of a tenant's provisioning gave up: the tenant is `failed`.",
    "tenant.updated": "Fields of a tenant were changed.",
    "tenant.suspended": "A tenant was suspended.",
    "tenant.reactivated": "A suspended tenant was reactivated.",
    "tenant.deleted": "A tenant was deleted. It can be restored until `purge_at`.",
    "tenant.restored": "A deleted tenant was restored.",
    "tenant.moved": "A tenant was moved to another partner. Both partners receive this event.",
    "tenant.purged": "A tenant was removed for good.",
    "tenant.settings_updated": "Settings of a tenant were changed. The tenant's version stays as it is.",
    "bulk_job.finished": "A bulk job has finished.",
    "invitation.created": "An administrator of a tenant is to be invited.",
    "invitation.sent": "An invitation was sent.",
    "invitation.failed": "An invitation could not be sent, and no further attempt follows.",
    "invitation.resent": "An invitation is to be sent again. Its new token replaces the one before.",
    "invitation.accepted": "An administrator has accepted an invitation.",
    "invitation.revoked": "An invitation was revoked.",
    "invitation.expired": "An invitation was not accepted in time.",
    "partner.updated": "Fields of a partner were changed.",
    "partner.settings_updated": "A partner's defaults for the settings of its tenants were changed.",
    "webhook.created": "A webhook endpoint was created.",
    "webhook.updated": "Fields of a webhook endpoint were changed.",
    "webhook.rotated": "A webhook endpoint got a new secret.",
    "webhook.deleted": "A webhook endpoint was deleted.",
    "webhook.disabled": "A webhook endpoint was disabled automatically.",
    "client.created": "An API client was created.",
    "client.updated": "Fields of an API client were changed, or all its tokens were ended.",
    "client.rotated": "An API client got a new secret.",
    "client.deleted": "An API client was deleted.",
}
EVENT_TYPES = tuple(EVENTS)
UUID_PATTERN = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class TypesField(TextField):
    """Event types, separated by commas."""

    def __init__(self, **options: Any) -> None:
        super().__init__(min_length=1, max_length=500, **options)

    def validate_text(self, value: str) -> Any:
        """Return the types without duplicates."""
        types = tuple(dict.fromkeys(value.split(",")))
        if unknown := [name for name in types if name not in EVENT_TYPES]:
            raise make_field_error(Fault("invalid-choice", f"{unknown[0]!r} is not one of: {', '.join(EVENT_TYPES)}."))
        return types


class TenantIdField(TextField):
    """The id of a tenant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=100, **options)

    def validate_text(self, value: str) -> str:
        """Return the id in its canonical form."""
        if not UUID_PATTERN.fullmatch(value):
            raise make_field_error(Fault("invalid-id", "Must be the id of a tenant."))
        return value.lower()


class EventQuery(QuerySchema):
    """The parameters of `GET /events`. Administrators may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "The partner whose feed to read, by default the token's. Only an administrator may name a partner "
            "other than the caller's own.",
            "acme",
        )
    )
    after = TextField(
        min_length=1,
        max_length=4096,
        metadata=describe(
            "The `next` of the page before, unchanged; absent to read from the beginning.", "eyJwIjoxMn0"
        ),
    )
    type = TypesField(
        metadata=describe("Only events of these types, separated by commas.", "tenant.created,tenant.deleted")
    )
    tenant = TenantIdField(metadata=describe("Only events about this tenant.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"))
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=describe("The number of events per page, from 1. A number above 1000 means 1000. By default 50.", 100),
    )


class ActorSchema(StrictSchema):
    """The actor of an event. `address` and `user_agent` are shown to callers with `audit:read`."""

    sub = fields.String(
        allow_none=True, metadata=describe("The subject of the token; null if it is not known.", "admin@acme.example")
    )
    partner = fields.String(
        allow_none=True, metadata=describe("The partner of the token; null if it names none.", "acme")
    )
    address = fields.String(
        allow_none=True,
        metadata={
            "optional": True,
            **describe("The IP address of the request. Only callers with `audit:read` see it.", "203.0.113.7"),
        },
    )
    user_agent = fields.String(
        allow_none=True,
        metadata={
            "optional": True,
            **describe("The `User-Agent` of the request. Only callers with `audit:read` see it.", "curl/8.5.0"),
        },
    )


class ChangeSchema(StrictSchema):
    """The previous and the new value of a field."""

    previous = fields.Raw(
        metadata=describe("The value before the change: any JSON value; null if there was none.", "Example")
    )
    new = fields.Raw(
        metadata=describe("The value after the change: any JSON value; null if it was removed.", "Example Corp")
    )


class EventSchema(StrictSchema):
    """An event. `data` is the tenant, webhook or other object after the event, `changes` holds each changed field.

    Callers without `webhook:read` see only the id of a webhook, those without `client:read` only that of an API client.

    For an object such as `metadata`, `previous` and `new` hold the members that differ; a missing member was absent.
    Some days after a tenant is purged, its identifying data is removed from `data`, and `erased: true` is added.
    """

    id = fields.UUID(
        metadata=describe(
            "The id of the event; the same in the feed and in every delivery.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
        )
    )
    type = fields.String(metadata=describe("The type of the event. New types may be added.", "tenant.updated"))
    timestamp = fields.AwareDateTime(metadata=describe("The time of the change."))
    partner = fields.String(metadata=describe("The partner in whose feed the event is.", "acme"))
    tenant = fields.UUID(
        allow_none=True,
        metadata=describe(
            "The id of the tenant that the event is about; null for other events.",
            "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",
        ),
    )
    request_id = fields.String(
        allow_none=True, metadata=describe("The id of the request that caused the event; null if none did.", "5f1c9d")
    )
    actor = fields.Nested(ActorSchema)
    data = fields.Dict(keys=fields.String(), metadata=describe("The object after the event.", {}))
    changes = fields.Dict(
        keys=fields.String(),
        values=fields.Nested(ChangeSchema),
        metadata=describe(
            "Each field that changed, with its values before and after; empty for a creation.",
            {"client_name": {"previous": "Example", "new": "Example Corp"}},
        ),
    )


class EventPageSchema(StrictSchema):
    """A page of the feed. `next` is always present and reads later events; `has_more` is true if there are some now."""

    items = fields.List(
        fields.Nested(EventSchema), metadata=describe("The events of this page, up to `limit`, in order.")
    )
    next = fields.String(
        metadata=describe(
            "The cursor to send as `after`, now if `has_more`, else later. It is always there.", "eyJwIjoxMn0"
        )
    )
    has_more = fields.Boolean(metadata=describe("True if there are more events now.", False))
