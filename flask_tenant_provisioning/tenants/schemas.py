"""What may come in about a tenant, and what goes out."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime
from typing import Any

from marshmallow import fields, post_load, validate

from ..config import Settings
from ..problems import Fault
from ..web.validation import StrictSchema, TextField, refused
from .fields import LONGEST_NAME, EmailField, MetadataField, PhoneField, PlanField, email_key, name_key

STATUSES = ("provisioning", "active", "suspended", "failed", "deleted")
LARGEST_PAGE = 1000
SORTS = ("created_at", "-created_at", "client_name", "-client_name")


class TenantSchema(StrictSchema):
    """A tenant. The `dump_only` fields are the server's; a client that sends one is refused."""

    tenant = fields.UUID(dump_only=True)
    partner = fields.String(dump_only=True)
    external_id = TextField(shortest=1, longest=128, allow_none=True)
    client_name = TextField(shortest=1, longest=LONGEST_NAME, trim=True, required=True)
    email = EmailField(required=True)
    phone_number = PhoneField(strict=False, allow_none=True)
    industry = TextField(longest=100, allow_none=True)
    plan = PlanField(plans=None, allow_none=True)
    metadata = MetadataField(allow_none=True)
    status = fields.String(dump_only=True, validate=validate.OneOf(STATUSES))
    suspended_reason = fields.String(dump_only=True, allow_none=True)
    version = fields.Integer(dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True)
    updated_at = fields.AwareDateTime(dump_only=True)
    deleted_at = fields.AwareDateTime(dump_only=True, allow_none=True)
    purge_at = fields.AwareDateTime(dump_only=True, allow_none=True)

    @post_load
    def add_keys(self, values: dict[str, Any], **_options: Any) -> dict[str, Any]:
        """Add what the values are compared by."""
        if "email" in values:
            values["email_key"] = email_key(values["email"])
        if "client_name" in values:
            values["name_key"] = name_key(values["client_name"])
        if "metadata" in values and values["metadata"] is None:
            values["metadata"] = {}
        return values


def tenant_input(settings: Settings) -> TenantSchema:
    """The schema for what clients of this host send."""
    return _tenant_input(settings.plans, settings.phone_e164)


@functools.cache
def _tenant_input(plans: tuple[str, ...] | None, strict_phone: bool) -> TenantSchema:
    class HostTenantSchema(TenantSchema):
        phone_number = PhoneField(strict=strict_phone, allow_none=True)
        plan = PlanField(plans=plans, allow_none=True)

    return HostTenantSchema()


class LimitField(fields.Field):  # type: ignore[type-arg]
    """How many items a page holds: 1 or more; over 1000 means 1000."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> int:
        digits = value.lstrip("0") if value.isascii() and value.isdigit() else ""
        if not digits:
            raise refused(Fault("invalid-limit", "Must be a whole number from 1 on."))
        return int(digits) if len(digits) < 4 else LARGEST_PAGE


_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class InstantField(fields.Field):  # type: ignore[type-arg]
    """A point in time, RFC 3339 with an offset; kept in UTC with microseconds."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        try:
            if not _RFC3339.fullmatch(value):
                raise ValueError("another of the many forms of ISO 8601")
            moment = datetime.fromisoformat(value.upper())
            return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        except (ValueError, OverflowError) as error:
            raise refused(Fault("invalid-time", "Must be RFC 3339 with an offset: 2025-02-10T16:30:00Z.")) from error


class ChoiceField(fields.Field):  # type: ignore[type-arg]
    """One of a few words."""

    def __init__(self, *choices: str, **options: Any) -> None:
        super().__init__(**options)
        self.choices = choices

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> str:
        if value not in self.choices:
            raise refused(Fault("invalid-choice", f"Must be one of: {', '.join(self.choices)}."))
        return str(value)


class EmailFilterField(EmailField):
    """An address to look for, as it is compared."""

    def accept(self, value: str) -> str:
        return email_key(value)


class PrefixField(TextField):
    """What a name begins with, as it is compared."""

    def accept(self, value: str) -> str:
        return name_key(value)


class FlagField(fields.Field):  # type: ignore[type-arg]
    """``true`` or ``false``."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **options: Any) -> bool:
        if value not in ("true", "false"):
            raise refused(Fault("invalid-flag", "Must be true or false."))
        return bool(value == "true")


class PartnerQuery(StrictSchema):
    """The partner that an administrator means."""

    @functools.cached_property
    def defaults(self) -> dict[str, Any]:
        """What is asked where nothing is said."""
        found: dict[str, Any] = self.load({})
        return found

    partner = TextField(shortest=1, longest=255)


class ListQuery(PartnerQuery):
    """What `GET /tenants` can be asked."""

    limit = LimitField(load_default=50)
    cursor = TextField(shortest=1, longest=4096)
    sort = ChoiceField(*SORTS, load_default="created_at")
    status = ChoiceField(*STATUSES)
    email = EmailFilterField()
    external_id = TextField(shortest=1, longest=128)
    plan = TextField(longest=100)
    industry = TextField(longest=100)
    created_after = InstantField()
    created_before = InstantField()
    updated_after = InstantField()
    updated_before = InstantField()
    q = PrefixField(shortest=1, longest=LONGEST_NAME)
    include_deleted = FlagField(load_default=False)


class PageSchema(StrictSchema):
    """One page of tenants; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(TenantSchema))
    next = fields.String(allow_none=True)


_LIST_QUERY, _PARTNER_QUERY = ListQuery(), PartnerQuery()


def list_query(_settings: Settings | None = None) -> ListQuery:
    """The schema of `GET /tenants`'s parameters; made once."""
    return _LIST_QUERY


def partner_query(_settings: Settings | None = None) -> PartnerQuery:
    """The schema of the parameters of every other request; made once."""
    return _PARTNER_QUERY
