"""What may come in about a tenant, and what goes out."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, post_load, validate

from ..web.api import Api
from ..web.validation import PartnerIdField, StrictSchema, TextField
from .fields import LONGEST_NAME, EmailField, MetadataField, PhoneField, PlanField, email_key, name_key

STATUSES = ("provisioning", "active", "suspended", "failed", "deleted")


class TenantSchema(StrictSchema):
    """A tenant. The `dump_only` fields are the server's; a client that sends one is refused."""

    tenant = fields.UUID(dump_only=True)
    partner = fields.String(dump_only=True)
    external_id = TextField(shortest=1, longest=128, allow_none=True)
    client_name = TextField(shortest=1, longest=LONGEST_NAME, trim=True, visible=True, required=True)
    email = EmailField(required=True)
    phone_number = PhoneField(strict=False, allow_none=True)
    industry = TextField(longest=100, visible=True, allow_none=True)
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


def tenant_input(api: Api) -> TenantSchema:
    """The schema for what clients of this host send; made once."""
    return api.once(_tenant_input)


def _tenant_input(api: Api) -> TenantSchema:
    class HostTenantSchema(TenantSchema):
        phone_number = PhoneField(strict=api.settings.phone_e164, allow_none=True)
        plan = PlanField(plans=api.plans, allow_none=True)

    return HostTenantSchema()


class SuspensionSchema(StrictSchema):
    """Why a tenant is suspended."""

    reason = TextField(shortest=1, longest=500, visible=True, allow_none=True)


def suspension_input(_api: Api | None = None) -> SuspensionSchema:
    """The schema of a suspension; made once."""
    return _SUSPENSION


_SUSPENSION = SuspensionSchema()


class MoveSchema(StrictSchema):
    """To whom a tenant goes."""

    partner = PartnerIdField(required=True)


def move_input(_api: Api | None = None) -> MoveSchema:
    """The schema of a move; made once."""
    return _MOVE


_MOVE = MoveSchema()


class TenantPageSchema(StrictSchema):
    """One page of tenants; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(TenantSchema))
    next = fields.String(allow_none=True)
