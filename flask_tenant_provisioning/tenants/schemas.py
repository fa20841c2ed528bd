"""The documents that clients send and read, the query parameters, and the validation of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marshmallow import fields, post_load, validate

from ..errors import Fault
from ..mount import Api
from ..validation import PartnerIdField, StrictSchema, TextField, load, make_entry, make_invalid_input, run_all
from ..web.pagination import PageSizeField
from ..web.parameters import ChoiceField, FlagField, InstantField, QuerySchema, WriteQuery
from . import custom_fields
from .custom_fields import CUSTOM_FILTER_PREFIX, CustomFilterField, apply_merge_patch
from .fields import (
    MAX_METADATA_KEYS,
    MAX_NAME_LENGTH,
    TOO_MANY_KEYS,
    EmailField,
    MetadataField,
    PhoneField,
    PlanField,
    make_email_key,
    make_fast_path,
    make_name_key,
)
from .listing import DEFAULT_PAGE_SIZE
from .models import STATUSES, Tenant


class TenantSchema(StrictSchema):
    """A tenant. The `dump_only` fields are the server's; a client that sends one is refused."""

    tenant = fields.UUID(dump_only=True)
    partner = fields.String(dump_only=True)
    external_id = TextField(min_length=1, max_length=128, allow_none=True)
    client_name = TextField(min_length=1, max_length=MAX_NAME_LENGTH, trim=True, visible=True, required=True)
    email = EmailField(required=True)
    phone_number = PhoneField(strict=False, allow_none=True)
    industry = TextField(max_length=100, visible=True, allow_none=True)
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
            values["email_key"] = make_email_key(values["email"])
        if "client_name" in values:
            values["name_key"] = make_name_key(values["client_name"])
        if "metadata" in values and values["metadata"] is None:
            values["metadata"] = {}
        return values


def tenant_input(api: Api) -> TenantSchema:
    """The schema for what clients of this host send; made once."""
    return api.once(_make_tenant_schema)


def _make_tenant_schema(api: Api) -> TenantSchema:
    class HostTenantSchema(TenantSchema):
        phone_number = PhoneField(strict=api.config.phone_e164, allow_none=True)
        plan = PlanField(plans=api.plans, allow_none=True)

    return HostTenantSchema()


class SuspensionSchema(StrictSchema):
    """Why a tenant is suspended."""

    reason = TextField(min_length=1, max_length=500, visible=True, allow_none=True)


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


SORT_ORDERS = ("created_at", "-created_at", "client_name", "-client_name")


class EmailFilterField(EmailField):
    """An address to look for, as it is compared."""

    def validate_text(self, value: str) -> str:
        return make_email_key(value)


class PrefixField(TextField):
    """What a name begins with, as it is compared."""

    def validate_text(self, value: str) -> str:
        return make_name_key(value)


class ReadQuery(QuerySchema):
    """What `GET /tenants/{id}` can be asked; an administrator may name the partner, and so may one above it."""

    partner = PartnerIdField()


class CreateQuery(WriteQuery):
    """What creating can be asked; an administrator may name the partner."""

    partner = PartnerIdField()


class DeleteQuery(WriteQuery):
    """What deleting can be asked: to purge at once."""

    purge = FlagField(load_default=False)


class ListQuery(QuerySchema):
    """What `GET /tenants` can be asked; an administrator may name the partner, and so may one above it."""

    partner = PartnerIdField()
    limit = PageSizeField(load_default=DEFAULT_PAGE_SIZE)
    cursor = TextField(min_length=1, max_length=4096)
    sort = ChoiceField(*SORT_ORDERS, load_default="created_at")
    status = ChoiceField(*STATUSES)
    email = EmailFilterField()
    external_id = TextField(min_length=1, max_length=128)
    plan = TextField(max_length=100)
    industry = TextField(max_length=100)
    created_after = InstantField()
    created_before = InstantField()
    updated_after = InstantField()
    updated_before = InstantField()
    q = PrefixField(min_length=1, max_length=MAX_NAME_LENGTH)
    include_deleted = FlagField(load_default=False)


_LIST, _READ, _CREATE, _DELETE = ListQuery(), ReadQuery(), CreateQuery(), DeleteQuery()


def list_query(api: Api | None = None) -> ListQuery:
    """The schema of `GET /tenants`'s parameters, with the host's own; made once."""
    return _LIST if api is None or api.hooks.fields is None else api.once(_make_list_query)


def _make_list_query(api: Api) -> ListQuery:
    own = api.hooks.fields
    names = own.filterable if own else ()
    filters = (
        {f"{CUSTOM_FILTER_PREFIX}{name}": CustomFilterField(own.fields[name], data_key=name) for name in names}
        if own
        else {}
    )
    found: ListQuery = type("HostListQuery", (ListQuery,), filters)()
    return found


def read_query(_api: Api | None = None) -> ReadQuery:
    """The schema of the parameters of `GET /tenants/{id}`; made once."""
    return _READ


def create_query(_api: Api | None = None) -> CreateQuery:
    """The schema of the parameters of `POST /tenants` and of the upsert; made once."""
    return _CREATE


def delete_query(_api: Api | None = None) -> DeleteQuery:
    """The schema of `DELETE`'s parameters; made once."""
    return _DELETE


EXTERNAL_ID_MISMATCH = Fault("mismatch", "Must be the external id in the path, or absent.")


def validate_tenant(api: Api, body: Any) -> dict[str, Any]:
    """The valid values of a whole tenant. Raises `InvalidInput` that lists everything wrong with it."""
    own = api.hooks.fields
    if own is None or not isinstance(body, dict):
        return _validate_fields(api, body)
    ours, theirs = custom_fields.split_custom_fields(own, body)
    values, fields = run_all(
        partial(_validate_fields, api, ours), partial(custom_fields.validate_custom_fields, own, theirs)
    )
    return {**values, "fields": fields}


def _validate_fields(api: Api, body: Any) -> dict[str, Any]:
    """The valid values of everybody's fields; what is plainly valid needs no whole look."""
    return api.once(_make_fast_path)(body) or load(tenant_input(api), body)


def _make_fast_path(api: Api) -> Callable[[Any], dict[str, Any] | None]:
    return make_fast_path(api.config, api.plans)


def validate_upsert(api: Api, external_id: str, body: Any) -> dict[str, Any]:
    """The valid values of an upsert, whose path names the external id; the body may repeat it.

    Raises `InvalidInput`.
    """
    whole = {**body, "external_id": external_id} if isinstance(body, dict) else body
    values, _ = run_all(partial(validate_tenant, api, whole), partial(_require_same_external_id, body, external_id))
    return values


def validate_patch(api: Api, body: Any) -> Callable[[Tenant], Mapping[str, Any]]:
    """What gives a tenant's values after a merge patch (RFC 7396).

    Raises `InvalidInput`. What the host's own fields become depends on the tenant: where the patch names any,
    everything wrong with it is said by the function that is returned.
    """
    own = api.hooks.fields
    ours, theirs = (
        custom_fields.split_custom_fields(own, body) if own is not None and isinstance(body, dict) else (body, {})
    )
    if own is None or not theirs:
        return partial(patch_values, patch=load(tenant_input(api), ours, partial=True))

    def change(tenant: Tenant) -> dict[str, Any]:
        values, fields = run_all(
            lambda: patch_values(tenant, load(tenant_input(api), ours, partial=True)),
            lambda: custom_fields.patch_custom_fields(own, tenant.fields, theirs),
        )
        return {**values, "fields": fields}

    return change


def _require_same_external_id(body: Any, external_id: str) -> dict[str, Any]:
    if isinstance(body, dict) and body.get("external_id", external_id) != external_id:
        raise make_invalid_input([make_entry(EXTERNAL_ID_MISMATCH, "external_id")])
    return {}


def patch_values(tenant: Tenant, patch: dict[str, Any]) -> dict[str, Any]:
    """The values that a valid `patch` gives the tenant. Raises `InvalidInput` where its metadata would overflow."""
    if not patch.get("metadata"):
        return patch
    metadata = apply_merge_patch(json.loads(tenant.metadata), patch["metadata"])
    if len(metadata) > MAX_METADATA_KEYS:
        raise make_invalid_input([make_entry(TOO_MANY_KEYS, "metadata")])
    return {**patch, "metadata": metadata}
