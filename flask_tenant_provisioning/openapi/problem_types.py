"""Problem codes: the members of their documents, and an explanation of each code with an example document."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from .. import encoding
from ..errors import (
    BodyTooLarge,
    DuplicateRow,
    Forbidden,
    InvalidInput,
    InvalidParameter,
    InvalidState,
    InvitationExists,
    MalformedUpload,
    Mender,
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
    iter_problem_classes,
)
from ..mount import Api
from ..rate_limits import make_rate_limited_error
from ..tenants.mutations import make_conflict
from ..tenants.schemas import ListQuery, validate_tenant
from ..validation import MAX_ERRORS, load_parameters
from ..web.long_requests import make_body_too_large
from .examples import NEW_TENANT, TENANT

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


_MENDER_TEXTS = {
    Mender.PARTNER: "the developer of the partner's integration",
    Mender.PARTNER_ADMINISTRATOR: "the partner's administrator",
    Mender.OPERATOR: "the operator of this API",
}


@dataclasses.dataclass(frozen=True)
class Explanation:
    """The explanation of one problem code."""

    kind: type[ProvisioningError]
    type: str
    example: dict[str, Any]

    @property
    def code(self) -> str:
        """The problem code."""
        return self.kind.code

    @property
    def meaning(self) -> str:
        """The meaning in a sentence or two: the class's own docstring, else its title."""
        return describe_problem(self.kind)

    @property
    def menders(self) -> str:
        """The people who can mend it, as a sentence."""
        text = " or ".join(_MENDER_TEXTS[mender] for mender in self.kind.mended_by)
        return f"{text[0].upper()}{text[1:]}."

    def summarize(self) -> dict[str, Any]:
        """Render the entry of the code in the index."""
        kind = self.kind
        return {
            "type": self.type,
            "code": kind.code,
            "title": kind.title,
            "status": kind.status,
            "meaning": self.meaning,
            "remedy": kind.remedy,
            "mended_by": list(kind.mended_by),
        }

    def render(self) -> dict[str, Any]:
        """Render the whole explanation, with the example."""
        return {**self.summarize(), "example": self.example}


def describe_problem(kind: type[ProvisioningError]) -> str:
    """Return the meaning of a problem in a sentence or two: the class's own docstring, else its title."""
    docstring = vars(kind).get("__doc__")
    return " ".join(docstring.split()) if docstring else f"{kind.title}."


def list_problem_classes(api: Api) -> tuple[type[ProvisioningError], ...]:
    """Return every problem class, including the host's, sorted by status."""
    return tuple(sorted([*iter_problem_classes(), *api.registry.problem_classes()], key=lambda kind: kind.status))


def explain_problems(api: Api, base: str) -> dict[str, Explanation]:
    """Explain every code for callers that reach the API at `base`, by code."""
    types, errors = api.config.problem_base_uri or f"{base}/problems/", _provoke_errors(api)
    explanations = {}
    for kind in list_problem_classes(api):
        example = _build_example(errors.get(kind.code) or kind(), types, base)
        explanations[kind.code] = Explanation(kind, types + kind.code, example)
    return explanations


def _build_example(error: ProvisioningError, types: str, base: str) -> dict[str, Any]:
    """Build the problem document (RFC 9457 §3) of `error` for an example request."""
    document: dict[str, Any] = {
        "type": types + error.code,
        "title": error.title,
        "status": error.status,
        "code": error.code,
        "detail": error.detail,
        "instance": f"{base}/tenants",
        "request_id": "b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f",
    }
    if error.errors:
        document["errors"] = error.errors
    if error.errors or error.members:
        return document | error.members
    return document | {name: member.example for name, member in list_members(type(error)).items()}


def _provoke_errors(api: Api) -> dict[str, ProvisioningError]:
    """Collect errors with a specific detail, as the validation code raises them, by code."""
    attempts: tuple[Callable[[], Any], ...] = (
        lambda: validate_tenant(api, {**NEW_TENANT, "email": "nobody"}),
        lambda: load_parameters(api.schema(ListQuery), {"limit": ["0"]}),
        lambda: encoding.parse_json(b'{"client_name": "Example Corp", "client_name": ""}'),
    )
    errors = (
        make_conflict("email", TENANT["tenant"]),
        make_body_too_large(api.config.max_body_bytes),
        InvalidState("A deleted tenant cannot be changed.", tenant_status="deleted"),
        make_rate_limited_error("write", limit=120, window=60, wait=17),
    )
    return {error.code: error for error in (*_catch_errors(attempts), *errors)}


def _catch_errors(attempts: tuple[Callable[[], Any], ...]) -> Iterator[ProvisioningError]:
    for attempt in attempts:
        try:
            attempt()
        except ProvisioningError as error:
            yield error
