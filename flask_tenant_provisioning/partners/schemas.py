"""The fields and the query parameters of partners."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from ..access.principal import is_partner_id
from ..errors import Fault
from ..mount import Api
from ..validation import (
    INVALID_PARTNER_ID,
    NULL,
    PartnerIdField,
    StrictSchema,
    TextField,
    WholeNumberField,
    describe,
    make_entry,
    make_field_error,
    make_invalid_input,
)
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, QuerySchema
from .models import STATUSES

MAX_QUOTA = 2_000_000_000
MAX_PLANS, MAX_PLAN_LENGTH = 100, 100
DEFAULT_PAGE_SIZE = 50


class CountField(WholeNumberField):
    """A non-negative integer."""


class PlansField(fields.Field):  # type: ignore[type-arg]
    """A list of plan names without duplicates; from the host's `plans` if it declares any."""

    default_error_messages = {"null": [NULL]}  # noqa: RUF012

    def __init__(self, *, plans: tuple[str, ...] | None, **options: Any) -> None:
        super().__init__(**options)
        self.plans = plans

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > MAX_PLANS or not all(map(_is_plan_name, value)):
            detail = f"Must be a list of {MAX_PLANS} strings at most, each of 1 to {MAX_PLAN_LENGTH} characters."
            raise make_field_error(Fault("invalid-type", detail))
        if self.plans is not None:
            fault = Fault("unknown-plan", f"Must be one of: {', '.join(self.plans)}.")
            faults = [{str(index): fault} for index, name in enumerate(value) if name not in self.plans]
            if faults:
                raise make_field_error(*faults)
        return list(dict.fromkeys(value))


def _is_plan_name(value: Any) -> bool:
    return type(value) is str and 1 <= len(value) <= MAX_PLAN_LENGTH and "\0" not in value


class PartnerSchema(StrictSchema):
    """A partner. Null in `max_tenants` or `allowed_plans` means no limit."""

    partner = fields.String(dump_only=True, metadata=describe("The id of the partner, as tokens name it.", "acme"))
    name = TextField(
        min_length=1,
        max_length=255,
        trim=True,
        visible=True,
        allow_none=True,
        metadata=describe(
            "The name of the partner, for people; null if none is known. 1 to 255 characters.", "Acme Ltd"
        ),
    )
    contact = TextField(
        min_length=1,
        max_length=255,
        visible=True,
        allow_none=True,
        metadata=describe(
            "How to reach the partner, such as an email address; null if it is not known. 1 to 255 characters.",
            "ops@acme.example",
        ),
    )
    status = ChoiceField(*STATUSES, metadata=describe("`suspended` refuses all of the partner's requests.", "active"))
    suspended_reason = TextField(
        min_length=1,
        max_length=500,
        visible=True,
        allow_none=True,
        metadata=describe(
            "The reason of the suspension; null if there is none. 1 to 500 characters.", "contract ended"
        ),
    )
    parent = PartnerIdField(
        allow_none=True,
        metadata=describe("The partner above this one, which sees its tenants; null if there is none.", "umbrella"),
    )
    max_tenants = CountField(
        most=MAX_QUOTA,
        allow_none=True,
        metadata=describe("How many tenants the partner may have, without deleted ones; null for no limit.", 100),
    )
    allowed_plans = PlansField(
        plans=None,
        allow_none=True,
        metadata=describe(
            "The plans that the partner may use for its tenants, up to 100; null for all.", ["basic", "gold"]
        ),
    )
    version = fields.Integer(
        dump_only=True,
        metadata=describe(
            "The number of the partner's current version, from 1, raised by each change. `ETag` has it in quotes.", 1
        ),
    )
    created_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the registration."))
    updated_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the last change."))

    @classmethod
    def for_api(cls, api: Api) -> PartnerSchema:
        """Return the schema of partners that administrators of this host send."""

        own = cls._declared_fields

        class HostPartnerSchema(PartnerSchema):
            allowed_plans = PlansField(plans=api.plans, allow_none=True, metadata=own["allowed_plans"].metadata)

        return HostPartnerSchema()


class PartnerPageSchema(StrictSchema):
    """One page of partners; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(PartnerSchema), metadata=describe("The partners of this page, up to `limit`."))
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


class PartnerListQuery(QuerySchema):
    """The parameters of `GET /partners`."""

    status = ChoiceField(*STATUSES, metadata=describe("Only partners with this status."))
    parent = PartnerIdField(metadata=describe("Only partners directly below this one.", "umbrella"))
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )


def validate_partner_id(partner_id: str) -> str:
    """Return the id of a new partner. Raises `InvalidInput` if it is not a valid partner id."""
    if not is_partner_id(partner_id):
        raise make_invalid_input([make_entry(INVALID_PARTNER_ID, "partner")])
    return partner_id
