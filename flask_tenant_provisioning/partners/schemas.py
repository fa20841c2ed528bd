"""What may come in about a partner, what goes out, and what can be asked."""

from __future__ import annotations

from typing import Any

from marshmallow import fields

from ..problems import Fault
from ..web.api import Api
from ..web.parameters import ChoiceField, LimitField, QuerySchema
from ..web.validation import NULL, PartnerIdField, StrictSchema, TextField, WholeNumberField, refused
from .models import STATUSES

LARGEST = 2_000_000_000
MOST_PLANS, LONGEST_PLAN = 100, 100
DEFAULT_LIMIT = 50


class CountField(WholeNumberField):
    """A whole number from 0 on."""


class PlansField(fields.Field):  # type: ignore[type-arg]
    """Names of plans, each once; of the host's `plans`, where it declares them."""

    default_error_messages = {"null": [NULL]}  # noqa: RUF012

    def __init__(self, *, plans: tuple[str, ...] | None, **options: Any) -> None:
        super().__init__(**options)
        self.plans = plans

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> list[str]:
        if not isinstance(value, list) or len(value) > MOST_PLANS or not all(map(_is_plan, value)):
            detail = f"Must be a list of {MOST_PLANS} texts at most, each of 1 to {LONGEST_PLAN} characters."
            raise refused(Fault("invalid-type", detail))
        if wrong := [{str(place): fault} for place, name in enumerate(value) if (fault := self._unknown(name))]:
            raise refused(*wrong)
        return list(dict.fromkeys(value))

    def _unknown(self, name: str) -> Fault | None:
        if self.plans is None or name in self.plans:
            return None
        return Fault("unknown-plan", f"Must be one of: {', '.join(self.plans)}.")


def _is_plan(value: Any) -> bool:
    return type(value) is str and 1 <= len(value) <= LONGEST_PLAN and "\0" not in value


class StatusField(ChoiceField):
    """Whether its requests are let pass."""

    default_error_messages = {"null": [NULL]}  # noqa: RUF012


class PartnerSchema(StrictSchema):
    """A partner, below its `parent`. `max_tenants` and `allowed_plans` set no limit where they are null."""

    partner = fields.String(dump_only=True)
    name = TextField(shortest=1, longest=255, trim=True, visible=True, allow_none=True)
    contact = TextField(shortest=1, longest=255, visible=True, allow_none=True)
    status = StatusField(*STATUSES)
    suspended_reason = TextField(shortest=1, longest=500, visible=True, allow_none=True)
    parent = PartnerIdField(allow_none=True)
    max_tenants = CountField(most=LARGEST, allow_none=True)
    allowed_plans = PlansField(plans=None, allow_none=True)
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
    parent = PartnerIdField()
    limit = LimitField(load_default=DEFAULT_LIMIT)
    cursor = TextField(shortest=1, longest=4096)


_LIST = PartnerListQuery()


def partner_input(api: Api) -> PartnerSchema:
    """The schema of what an administrator of this host sends; made once."""
    return api.once(_partner_input)


def _partner_input(api: Api) -> PartnerSchema:
    class HostPartnerSchema(PartnerSchema):
        allowed_plans = PlansField(plans=api.plans, allow_none=True)

    return HostPartnerSchema()


def partner_list_query(_api: Api | None = None) -> PartnerListQuery:
    """The schema of `GET /partners`'s parameters; made once."""
    return _LIST
