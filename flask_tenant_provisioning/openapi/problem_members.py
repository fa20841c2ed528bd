"""The members that a problem document has beside the common ones, by problem class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..errors import (
    BodyTooLarge,
    DuplicateRow,
    Forbidden,
    InvalidInput,
    InvalidParameter,
    InvalidState,
    InvitationExists,
    MalformedUpload,
    NotAcceptable,
    PartnerMissing,
    PlanLimitExceeded,
    PlanNotAllowed,
    ProvisioningError,
    QuotaExceeded,
    RateLimited,
    SettingsOutdated,
    TenantExists,
    UnsupportedMediaType,
    UploadTooLarge,
)
from ..validation import MAX_ERRORS

EXCEEDED_LIMIT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "A limit of a plan that the tenant's usage exceeds.",
    "required": ["limit", "used", "allowed"],
    "properties": {
        "limit": {"type": "string", "description": "The name of the limit.", "examples": ["users"]},
        "used": {"type": "integer", "description": "How much the tenant uses at present.", "examples": [12]},
        "allowed": {"type": "integer", "description": "How much the plan allows.", "examples": [10]},
    },
}


class Member(NamedTuple):
    """A member of a problem document: its JSON Schema, an example, and whether it is always there."""

    schema: Mapping[str, Any]
    example: Any
    is_required: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the JSON Schema with the example."""
        return {**self.schema, "examples": [self.example]}


def _text(description: str, example: str, *, is_required: bool = False, **keywords: Any) -> Member:
    return Member({"type": "string", "description": description, **keywords}, example, is_required)


def _number(description: str, example: int, *, is_required: bool = False) -> Member:
    return Member({"type": "integer", "description": description}, example, is_required)


def _texts(description: str, *example: str, is_required: bool = False) -> Member:
    schema = {"type": "array", "items": {"type": "string"}, "description": description}
    return Member(schema, [*example], is_required)


ERRORS_SCHEMA: dict[str, Any] = {
    "type": "array",
    "minItems": 1,
    "maxItems": MAX_ERRORS,
    "items": {"$ref": "#/components/schemas/InputError"},
    "description": f"The errors in the input: all of them, or the first {MAX_ERRORS}.",
}
#: One entry of a problem's `errors`.
EXAMPLE_ERROR = {"pointer": "#/email", "code": "invalid-email", "detail": "Invalid email address."}
_ERRORS = {"errors": Member(ERRORS_SCHEMA, [EXAMPLE_ERROR], True)}
_LINE = _number("The line of the upload, counted from 1, at which reading failed; absent if it is unknown.", 17)
#: The members of each problem by name; a class that is not listed has none.
MEMBERS: Mapping[type[ProvisioningError], Mapping[str, Member]] = {
    InvalidInput: _ERRORS,
    InvalidParameter: _ERRORS,
    SettingsOutdated: _ERRORS,
    Forbidden: {
        "required": _texts(
            "The permissions that the operation needs. Absent if it needs a role rather than a permission.",
            "tenant:create",
        ),
    },
    PartnerMissing: {
        "claim": _text("The claim of the token that names the partner.", "partner_id", is_required=True),
    },
    QuotaExceeded: {
        "limit": _number("The largest number that is allowed.", 100, is_required=True),
        "partner": _text("The partner whose quota is used up; absent if the limit is not one partner's.", "acme"),
    },
    PlanNotAllowed: {
        "plan": _text("The plan that was refused.", "gold", is_required=True),
        "allowed": _texts("The plans that this partner may use.", "basic", "silver", is_required=True),
    },
    TenantExists: {
        "field": _text("The field whose value is taken: `email` or `external_id`.", "email", is_required=True),
        "conflicting_tenant": _text(
            "The id of the tenant that has the value; absent if it is not known.",
            "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",
            format="uuid",
        ),
    },
    InvalidState: {
        "tenant_status": _text("The status of the tenant, if that is the reason.", "deleted"),
        "job_state": _text("The state of the bulk job, if that is the reason.", "succeeded"),
        "provisioning_state": _text("The state of the provisioning, if that is the reason.", "running"),
        "invitation_state": _text("The state of the invitation, if that is the reason.", "accepted"),
    },
    InvitationExists: {
        "conflicting_invitation": _text(
            "The id of the open invitation for this address.",
            "0194f0b2-3b40-7cc3-98c4-dc0c0c07398f",
            is_required=True,
            format="uuid",
        ),
    },
    PlanLimitExceeded: {
        "limits": Member(
            {
                "type": "array",
                "items": {"$ref": "#/components/schemas/ExceededLimit"},
                "description": "Each limit of the new plan that the tenant's usage exceeds.",
            },
            [{"limit": "users", "used": 12, "allowed": 10}],
            True,
        ),
    },
    DuplicateRow: {
        "first_row": _number("The number of the earlier row, counted from 1.", 3, is_required=True),
    },
    MalformedUpload: {"line": _LINE},
    UploadTooLarge: {"line": _LINE},
    BodyTooLarge: {"limit": _number("The size that a body may have, in bytes.", 1048576, is_required=True)},
    UnsupportedMediaType: {
        "accepted": _texts("The media types that the operation accepts.", "application/json"),
    },
    NotAcceptable: {
        "offered": _texts("The media types that the operation can return.", "application/json"),
    },
    RateLimited: {
        "violated-policies": _texts("The names of the rate limits that were exceeded.", "write"),
    },
}


def list_members(kind: type[ProvisioningError]) -> Mapping[str, Member]:
    """Return the members of the problem class `kind`."""
    return MEMBERS.get(kind, {})
