"""The request and response bodies of tenants, the query parameters, and the validation of both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from marshmallow import fields, post_load, validate

from ..encoding import apply_merge_patch
from ..errors import Fault
from ..mount import Api
from ..validation import (
    CREATION_ONLY,
    PartnerIdField,
    StrictSchema,
    TextField,
    describe,
    load,
    make_entry,
    make_invalid_input,
    run_all,
)
from ..web.pagination import CURSOR, NEXT_CURSOR, PAGE_SIZE, PageSizeField
from ..web.parameters import ChoiceField, FlagField, InstantField, QuerySchema, WriteQuery
from . import custom_fields
from .custom_fields import CUSTOM_FILTER_PREFIX, CustomFilterField
from .fields import (
    MAX_METADATA_KEYS,
    MAX_NAME_LENGTH,
    TOO_MANY_KEYS,
    EmailField,
    LocaleField,
    MetadataField,
    PersonNameField,
    PhoneField,
    PlanField,
    make_email_key,
    make_fast_path,
    make_name_key,
)
from .listing import DEFAULT_PAGE_SIZE
from .models import STATUSES, Tenant


class AdminSchema(StrictSchema):
    """A person who administers a tenant, and is invited to do so."""

    email = EmailField(
        required=True,
        metadata=describe(
            "The email address to which the invitation is sent. 254 characters at most.", "jo@example.com"
        ),
    )
    name = PersonNameField(
        allow_none=True,
        metadata=describe(
            "The name of the person, in one line; null or absent if it is not known. 1 to 255 characters.", "Jo Doe"
        ),
    )
    locale = LocaleField(
        allow_none=True,
        metadata=describe(
            "The language that the person reads, as a tag of BCP 47; null or absent if it is not known. 2 to 35 "
            "characters.",
            "pt-BR",
        ),
    )


class TenantSchema(StrictSchema):
    """A tenant: a customer of yours, or a part of one, with data of its own in this application."""

    tenant = fields.UUID(
        dump_only=True,
        metadata=describe(
            "The id of the tenant, which the server chooses. It never changes.", "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f"
        ),
    )
    partner = fields.String(dump_only=True, metadata=describe("The partner to which the tenant belongs.", "acme"))
    external_id = TextField(
        min_length=1,
        max_length=128,
        allow_none=True,
        metadata=describe(
            "Your own id of the tenant, unique among your tenants; null or absent if you have none. 1 to 128 "
            "characters.",
            "crm-4711",
        ),
    )
    client_name = TextField(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        trim=True,
        visible=True,
        required=True,
        metadata=describe(
            "The name of the customer. 1 to 255 characters after white space around it is removed; one must "
            "be visible.",
            "Example Corp",
        ),
    )
    email = EmailField(
        required=True,
        metadata=describe(
            "The email address of the customer's first administrator, unique among your tenants without "
            "regard to case. It is stored as it was sent. 254 characters at most.",
            "admin@example.com",
        ),
    )
    phone_number = PhoneField(
        strict=False,
        allow_none=True,
        metadata=describe("A telephone number; null or absent if there is none.", "+1234567890"),
    )
    industry = TextField(
        max_length=100,
        visible=True,
        allow_none=True,
        metadata=describe(
            "The industry of the customer, in your own words; null or absent if it is not known. 100 "
            "characters at most.",
            "Technology",
        ),
    )
    plan = PlanField(
        plans=None,
        allow_none=True,
        metadata=describe(
            "The name of the commercial plan; null or absent for a tenant without one. 100 characters at most.", "gold"
        ),
    )
    metadata = MetadataField(
        allow_none=True,
        metadata=describe(
            "Your own data about the tenant, by key; null means none. Up to 50 keys of 1 to 40 characters, "
            "with texts of up to 500 characters.",
            {"region": "eu-west"},
        ),
    )
    admin = fields.Nested(
        AdminSchema,
        load_only=True,
        allow_none=True,
        metadata={
            CREATION_ONLY: True,
            **describe(
                "The tenant's first administrator, who is invited once the new tenant is `active`; null or absent to "
                "invite nobody. It has no effect on a tenant that exists, and is no part of its document: `GET "
                "/tenants/{tenant_id}/invitations` shows it. Refused where the application sends no invitations.",
                {"email": "jo@example.com", "name": "Jo Doe", "locale": "pt-BR"},
            ),
        },
    )
    status = fields.String(
        dump_only=True,
        validate=validate.OneOf(STATUSES),
        metadata=describe(
            "The state of the tenant. `provisioning` until the application has set it up, `failed` if it could not."
        ),
    )
    suspended_reason = fields.String(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The reason that was given for the suspension; null if there is none or the tenant is not suspended.",
            "unpaid",
        ),
    )
    version = fields.Integer(
        dump_only=True,
        metadata=describe(
            "The number of the tenant's current version, from 1, raised by each change. `ETag` has it in quotes.", 1
        ),
    )
    created_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the creation."))
    updated_at = fields.AwareDateTime(dump_only=True, metadata=describe("The time of the last change."))
    deleted_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe("The time of the deletion; null unless the tenant is deleted."),
    )
    purge_at = fields.AwareDateTime(
        dump_only=True,
        allow_none=True,
        metadata=describe(
            "The time from which a deleted tenant is removed for good; until then it can be restored. Null "
            "unless it is deleted."
        ),
    )

    @classmethod
    def for_api(cls, api: Api) -> TenantSchema:
        """Return the schema of tenants that clients of this host send."""

        own = cls._declared_fields

        class HostTenantSchema(TenantSchema):
            phone_number = PhoneField(
                strict=api.config.phone_e164, allow_none=True, metadata=own["phone_number"].metadata
            )
            plan = PlanField(plans=api.plans, allow_none=True, metadata=own["plan"].metadata)

        return HostTenantSchema()

    @post_load
    def add_keys(self, values: dict[str, Any], **_options: Any) -> dict[str, Any]:
        """Add the comparison keys of the name and the email, and turn null metadata into an empty object."""
        if "email" in values:
            values["email_key"] = make_email_key(values["email"])
        if "client_name" in values:
            values["name_key"] = make_name_key(values["client_name"])
        if "metadata" in values and values["metadata"] is None:
            values["metadata"] = {}
        return values


class SuspensionSchema(StrictSchema):
    """The reason of a suspension."""

    reason = TextField(
        min_length=1,
        max_length=500,
        visible=True,
        allow_none=True,
        metadata=describe(
            "The reason of the suspension, shown as `suspended_reason`; null or absent for none. 1 to 500 characters.",
            "unpaid",
        ),
    )


class MoveSchema(StrictSchema):
    """The partner to which a tenant is moved."""

    partner = PartnerIdField(
        required=True, metadata=describe("The id of the partner that receives the tenant.", "initech")
    )


class TenantPageSchema(StrictSchema):
    """One page of tenants; `next` is the cursor of the page after it."""

    items = fields.List(fields.Nested(TenantSchema), metadata=describe("The tenants of this page, up to `limit`."))
    next = fields.String(
        allow_none=True,
        metadata=NEXT_CURSOR,
    )


SORT_ORDERS = ("created_at", "-created_at", "client_name", "-client_name")


class EmailFilterField(EmailField):
    """An email address to filter by, loaded as its comparison key."""

    def validate_text(self, value: str) -> str:
        return make_email_key(value)


class PrefixField(TextField):
    """The beginning of a name, loaded as its comparison key."""

    def validate_text(self, value: str) -> str:
        return make_name_key(value)


class ReadQuery(QuerySchema):
    """The parameters of `GET /tenants/{id}`. Administrators and partners above may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "The partner to whom the tenant belongs. An administrator may name any partner, and a partner "
            "those below it.",
            "acme",
        )
    )


class CreateQuery(WriteQuery):
    """The parameters of `POST /tenants` and of the upsert. Administrators may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "The partner on whose behalf to act, by default the token's. Only an administrator may name another one.",
            "acme",
        )
    )


class DeleteQuery(WriteQuery):
    """The parameters of `DELETE /tenants/{id}`."""

    purge = FlagField(
        load_default=False,
        metadata=describe(
            "`true` removes the tenant for good, at once. By default it can be restored for some days. Needs "
            "`tenant:purge`.",
            False,
        ),
    )


class ListQuery(QuerySchema):
    """The parameters of `GET /tenants`. Administrators and partners above may name the partner."""

    partner = PartnerIdField(
        metadata=describe(
            "Only tenants of this partner. An administrator may name any partner, and a partner those below it.", "acme"
        )
    )
    limit = PageSizeField(
        load_default=DEFAULT_PAGE_SIZE,
        metadata=PAGE_SIZE,
    )
    cursor = TextField(
        min_length=1,
        max_length=4096,
        metadata=CURSOR,
    )
    sort = ChoiceField(
        *SORT_ORDERS,
        load_default="created_at",
        metadata=describe(
            "The order: by creation or by name; a minus sign reverses it. By default `created_at`.", "-created_at"
        ),
    )
    status = ChoiceField(*STATUSES, metadata=describe("Only tenants with this status."))
    email = EmailFilterField(
        metadata=describe("Only the tenant with this email address, without regard to case.", "admin@example.com")
    )
    external_id = TextField(
        min_length=1, max_length=128, metadata=describe("Only the tenant with this external id.", "crm-4711")
    )
    plan = TextField(max_length=100, metadata=describe("Only tenants with this plan.", "gold"))
    industry = TextField(max_length=100, metadata=describe("Only tenants of this industry.", "Technology"))
    created_after = InstantField(metadata=describe("Only tenants created after this time, RFC 3339 with an offset."))
    created_before = InstantField(metadata=describe("Only tenants created before this time, RFC 3339 with an offset."))
    updated_after = InstantField(metadata=describe("Only tenants changed after this time, RFC 3339 with an offset."))
    updated_before = InstantField(metadata=describe("Only tenants changed before this time, RFC 3339 with an offset."))
    q = PrefixField(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        metadata=describe(
            "Only tenants whose name begins with this text, without regard to case. 1 to 255 characters.", "exam"
        ),
    )
    include_deleted = FlagField(
        load_default=False, metadata=describe("`true` lists deleted tenants too. By default they are left out.", False)
    )

    @classmethod
    def for_api(cls, api: Api) -> ListQuery:
        """Return the parameters with the custom filters of this host."""
        custom = api.registry.fields
        names = custom.filterable if custom else ()
        filters = (
            {f"{CUSTOM_FILTER_PREFIX}{name}": CustomFilterField(custom.fields[name], data_key=name) for name in names}
            if custom
            else {}
        )
        query: ListQuery = type("HostListQuery", (ListQuery,), filters)()
        return query


NO_INVITATIONS = Fault("invitations-unavailable", "This service sends no invitations: leave this field out.")
ADMIN_OF_EXISTING_TENANT = Fault(
    "not-changeable", "Only a new tenant takes an `admin`: invite further ones at its `/invitations`."
)
EXTERNAL_ID_MISMATCH = Fault("mismatch", "Must equal the external id in the path, or be absent.")


def validate_tenant(api: Api, body: Any) -> dict[str, Any]:
    """Validate a whole tenant and return its values. Raises `InvalidInput` that lists every fault."""
    custom = api.registry.fields
    if custom is None or not isinstance(body, dict):
        return _validate_fields(api, body)
    ours, theirs = custom_fields.split_custom_fields(custom, body)
    values, fields = run_all(
        partial(_validate_fields, api, ours), partial(custom_fields.validate_custom_fields, custom, theirs)
    )
    return {**values, "fields": fields}


def _validate_fields(api: Api, body: Any) -> dict[str, Any]:
    """Validate the built-in fields, by the fast path if it accepts them. Raises `InvalidInput`."""
    if isinstance(body, dict) and "admin" in body:
        others = {name: value for name, value in body.items() if name != "admin"}
        values, admin = run_all(partial(_validate_fields, api, others), partial(_validate_optional_admin, api, body))
        return {**values, **admin}
    return api.once(_make_fast_path)(body) or load(api.schema(TenantSchema), body)


def _validate_optional_admin(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Validate the `admin` of a tenant's body. Raises `InvalidInput`, also where the host sends no invitations."""
    if body["admin"] is None:
        return {}
    if api.registry.invite is None:
        raise make_invalid_input([make_entry(NO_INVITATIONS, "admin")])
    return {"admin": validate_admin(api, body["admin"])}


def validate_admin(api: Api, admin: Any) -> dict[str, Any]:
    """Validate an `admin` and return an email with its comparison key, a name and a locale, None if absent.

    Raises `InvalidInput`.
    """
    values = load(api.schema(AdminSchema), admin, path=("admin",))
    return {"name": None, "locale": None, **values, "email_key": make_email_key(values["email"])}


def _make_fast_path(api: Api) -> Callable[[Any], dict[str, Any] | None]:
    return make_fast_path(api.config, api.plans)


def validate_upsert(api: Api, external_id: str, body: Any) -> dict[str, Any]:
    """Validate an upsert and return its values. The external id is in the path; the body may repeat it.

    Raises `InvalidInput`.
    """
    whole = {**body, "external_id": external_id} if isinstance(body, dict) else body
    values, _ = run_all(partial(validate_tenant, api, whole), partial(_require_same_external_id, body, external_id))
    return values


def validate_patch(api: Api, body: Any) -> Callable[[Tenant], Mapping[str, Any]]:
    """Validate a merge patch (RFC 7396). Return a function from a tenant to the values that the patch gives it.

    Raises `InvalidInput`. The validity of custom fields depends on the tenant: if the patch has any, the returned
    function does the whole validation and raises.
    """
    if isinstance(body, dict) and "admin" in body:
        others = {name: value for name, value in body.items() if name != "admin"}
        run_all(partial(validate_patch, api, others), _refuse_admin)
    custom = api.registry.fields
    ours, theirs = (
        custom_fields.split_custom_fields(custom, body) if custom is not None and isinstance(body, dict) else (body, {})
    )
    if custom is None or not theirs:
        return partial(patch_values, patch=load(api.schema(TenantSchema), ours, partial=True))

    def change(tenant: Tenant) -> dict[str, Any]:
        values, fields = run_all(
            lambda: patch_values(tenant, load(api.schema(TenantSchema), ours, partial=True)),
            lambda: custom_fields.patch_custom_fields(custom, tenant.fields, theirs),
        )
        return {**values, "fields": fields}

    return change


def _refuse_admin() -> Any:
    raise make_invalid_input([make_entry(ADMIN_OF_EXISTING_TENANT, "admin")])


def _require_same_external_id(body: Any, external_id: str) -> dict[str, Any]:
    if isinstance(body, dict) and body.get("external_id", external_id) != external_id:
        raise make_invalid_input([make_entry(EXTERNAL_ID_MISMATCH, "external_id")])
    return {}


def patch_values(tenant: Tenant, patch: dict[str, Any]) -> dict[str, Any]:
    """Return the values that a valid `patch` gives the tenant. Raises `InvalidInput` for too many metadata keys."""
    if not patch.get("metadata"):
        return patch
    metadata = apply_merge_patch(json.loads(tenant.metadata), patch["metadata"])
    if len(metadata) > MAX_METADATA_KEYS:
        raise make_invalid_input([make_entry(TOO_MANY_KEYS, "metadata")])
    return {**patch, "metadata": metadata}
