"""The bodies and documents of invitations, and the parameters of their list."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from ..mount import Api
from ..tenants.listing import DEFAULT_PAGE_SIZE
from ..tenants.schemas import AdminSchema, validate_admin
from ..validation import REQUIRED, StrictSchema, TextField, describe, load, make_entry, make_invalid_input, run_all
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, QuerySchema
from .models import STATES

_ID = "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"


class InvitationErrorSchema(StrictSchema):
    """The error of the last attempt to send an invitation."""

    class_ = fields.String(
        data_key="class",
        attribute="class",
        metadata=describe("The class of the application's exception.", "SMTPServerDisconnected"),
    )
    message = fields.String(
        metadata=describe(
            "A text of the application's for partners.",
            "The invitation could not be sent; the operator's log says why.",
        )
    )


class InvitationSchema(StrictSchema):
    """An invitation of a person to administer a tenant. Only that person learns its one-time token."""

    invitation = fields.UUID(dump_only=True, metadata=describe("The id of the invitation.", _ID))
    tenant = fields.UUID(dump_only=True, metadata=describe("The id of the tenant.", _ID))
    partner = fields.String(dump_only=True, metadata=describe("The partner to which the tenant belongs.", "acme"))
    admin = fields.Nested(
        AdminSchema,
        required=True,
        metadata=describe(
            "The person who is invited.", {"email": "jo@example.com", "name": "Jo Doe", "locale": "pt-BR"}
        ),
    )
    state = fields.String(
        dump_only=True,
        validate=validate.OneOf(STATES),
        metadata=describe(
            "`waiting` until the tenant is active, `sending` until it was sent, then `sent`, or `failed` if no further "
            "attempt follows. At last `accepted`, `revoked` or `expired`."
        ),
    )
    attempts = fields.Integer(
        dump_only=True, metadata=describe("How often sending it was attempted, since it was last asked for.", 1)
    )
    error = fields.Nested(
        InvitationErrorSchema,
        dump_only=True,
        allow_none=True,
        metadata=describe("The error of the last attempt; null if there is none."),
    )
    next_attempt_at = fields.AwareDateTime(
        dump_only=True, allow_none=True, metadata=describe("The time of the next attempt; null if none is planned.")
    )
    sent_at = fields.AwareDateTime(
        dump_only=True, allow_none=True, metadata=describe("The time at which it was sent; null before that.")
    )
    expires_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe("The time until which it can be accepted; null while it is `waiting`."),
    )
    ended_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe("The time at which it was accepted or revoked, or expired; null before that."),
    )
    version = fields.Integer(
        dump_only=True,
        metadata=describe(
            "The number of the invitation's current version, from 1, raised by each change. `ETag` has it in quotes.", 1
        ),
    )
    created_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the creation."))
    updated_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the last change."))


class InvitationPageSchema(StrictSchema):
    """One page of invitations; `next` is the cursor of the page after it."""

    items = fields.List(
        fields.Nested(InvitationSchema), metadata=describe("The invitations of this page, up to `limit`.")
    )
    next = fields.String(allow_none=True, metadata=NEXT_CURSOR)


class InvitationListQuery(QuerySchema):
    """The parameters of `GET /tenants/{id}/invitations`."""

    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE, metadata=PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096, metadata=CURSOR)
    state = ChoiceField(*STATES, metadata=describe("Only invitations in this state."))


def validate_new_invitation(api: Api, body: Any) -> dict[str, Any]:
    """Validate the body of a new invitation and return its `admin`. Raises `InvalidInput` that lists every fault."""
    if not isinstance(body, dict):
        load(api.schema(InvitationSchema), body)
    others = {name: value for name, value in body.items() if name != "admin"}
    _, admin = run_all(
        lambda: load(api.schema(InvitationSchema), others, partial=True), lambda: _validate_required_admin(api, body)
    )
    return admin


def _validate_required_admin(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    if "admin" not in body:
        raise make_invalid_input([make_entry(REQUIRED, "admin")])
    return validate_admin(api, body["admin"])
