"""JSON Schemas of problem documents: the common members, one schema per code, and the errors of one response.

A response lists the problems that it may be by ``anyOf``, the last of which is `OTHER`, a problem with a code that the
document does not know: a client keeps working when a later release adds a code. The lists have a ``discriminator``,
which leaves `OTHER` out. It is not ``oneOf``, since some generators ignore that `OTHER` excludes the known codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import (
    Forbidden,
    InvalidInput,
    InvalidParameter,
    InvalidToken,
    MalformedJSON,
    PartnerMissing,
    PartnerNotRegistered,
    PartnerSuspended,
    ProvisioningError,
    TokenExpired,
    Unauthenticated,
)
from ..mount import Api
from .problem_types import (
    ERRORS_SCHEMA,
    EXAMPLE_ERROR,
    EXCEEDED_LIMIT_SCHEMA,
    describe_problem,
    list_members,
    list_problem_classes,
)

Schema = dict[str, Any]
ANY, OTHER = "AnyProblem", "OtherProblem"
#: RFC 9457 §3, with this API's own members.
PROBLEM_SCHEMA: Schema = {
    "type": "object",
    "description": "What every problem document (RFC 9457) has. Further members depend on the code.",
    "required": ["type", "title", "status", "code", "detail", "instance", "request_id"],
    "properties": {
        "type": {
            "type": "string",
            "format": "uri-reference",
            "description": "The address of a page that explains the code.",
            "examples": ["/api/v1/provisioning/problems/not-found"],
        },
        "title": {
            "type": "string",
            "description": "The problem in a few words, the same for each occurrence.",
            "examples": ["Not found"],
        },
        "status": {
            "type": "integer",
            "minimum": 400,
            "maximum": 599,
            "description": "The HTTP status of the response.",
            "examples": [404],
        },
        "code": {
            "type": "string",
            "description": "The stable problem code, for programs. New codes may be added.",
            "examples": ["not-found"],
        },
        "detail": {
            "type": "string",
            "description": "An explanation of this occurrence for people, in English.",
            "examples": ["Not found."],
        },
        "instance": {
            "type": "string",
            "format": "uri-reference",
            "description": "The path of the request.",
            "examples": ["/api/v1/provisioning/tenants"],
        },
        "request_id": {
            "type": "string",
            "description": "The request's id, to quote to the operator.",
            "examples": ["b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f"],
        },
        "errors": {
            **ERRORS_SCHEMA,
            "description": f"{ERRORS_SCHEMA['description']} Absent if the input is not the problem.",
            "examples": [[EXAMPLE_ERROR]],
        },
        "errors_omitted": {
            "type": "integer",
            "minimum": 1,
            "description": "The number of errors that `errors` leaves out; absent if it lists all.",
            "examples": [20],
        },
    },
}
#: Problems that most responses of their status have in common, by the name that they have together.
_FAMILIES: tuple[tuple[str, tuple[type[ProvisioningError], ...]], ...] = (
    ("InvalidRequest", (InvalidInput, MalformedJSON, InvalidParameter)),
    ("Unauthorized", (Unauthenticated, InvalidToken, TokenExpired)),
    ("AccessDenied", (Forbidden, PartnerMissing, PartnerSuspended, PartnerNotRegistered)),
)
_RESERVED_WORDS = frozenset({"Any", "Other", "Row", *(name for name, _ in _FAMILIES)})


def build_problem_schemas(api: Api) -> dict[str, Schema]:
    """Build the schemas of all problems of `api`, by component name."""
    kinds = list_problem_classes(api)
    return {
        "Problem": PROBLEM_SCHEMA,
        "ExceededLimit": EXCEEDED_LIMIT_SCHEMA,
        **{get_schema_name(kind): _build_problem_schema(kind) for kind in kinds},
        OTHER: _build_other_schema(kinds),
        ANY: build_error_schema(kinds) | {"description": "A problem document of any code."},
    }


def _build_problem_schema(kind: type[ProvisioningError]) -> Schema:
    members = list_members(kind)
    code = {
        "type": "string",
        "enum": [kind.code],
        "description": f"`{kind.code}`: {kind.title}.",
        "examples": [kind.code],
    }
    properties = {"code": code, **{name: member.describe() for name, member in members.items()}}
    required = ["code", *(name for name, member in members.items() if member.is_required)]
    own = {"type": "object", "required": required, "properties": properties}
    return {"description": describe_problem(kind), "allOf": [{"$ref": "#/components/schemas/Problem"}, own]}


def _build_other_schema(kinds: Iterable[type[ProvisioningError]]) -> Schema:
    code = {
        "type": "string",
        "not": {"enum": [kind.code for kind in kinds]},
        "description": "A code that this document does not list.",
        "examples": ["a-new-code"],
    }
    return {
        "description": "A problem with a code that this document does not list, since the server is newer than it. "
        "Handle it by its `status`.",
        "allOf": [
            {"$ref": "#/components/schemas/Problem"},
            {"type": "object", "required": ["code"], "properties": {"code": code}},
        ],
    }


def build_error_schema(group: Sequence[type[ProvisioningError]]) -> Schema:
    """Build the schema of a response that is one of these problems, or one that the document does not list."""
    references = [f"#/components/schemas/{get_schema_name(kind)}" for kind in group]
    mapping = dict(zip((kind.code for kind in group), references, strict=True))
    return {
        "description": f"One of {', '.join(f'`{code}`' for code in mapping)}, or a code of a later release."
        if group[1:]
        else f"`{group[0].code}`, or a code of a later release.",
        "anyOf": [{"$ref": reference} for reference in [*references, f"#/components/schemas/{OTHER}"]],
        "discriminator": {"propertyName": "code", "mapping": mapping},
    }


def get_schema_name(kind: type[ProvisioningError]) -> str:
    """Return the component name of the schema of one problem, such as ``TenantExistsProblem``."""
    return f"{_get_word(kind)}Problem"


def get_error_name(group: Sequence[type[ProvisioningError]]) -> str:
    """Return the component name of the schema of these problems, such as ``TenantNotFoundError``."""
    return f"{get_response_name(group).removesuffix('Error')}Error"


def get_response_name(group: Sequence[type[ProvisioningError]]) -> str:
    """Return the component name of the Response Object of these problems, such as ``TenantExistsOrInvalidState``.

    Problems of a family go by its name if all of them are there.
    """
    left, words = list(group), []
    for name, family in _FAMILIES:
        if set(family) <= set(left):
            words.append(name)
            left = [kind for kind in left if kind not in family]
    return "Or".join([*words, *map(_get_word, left)])


def _get_word(kind: type[ProvisioningError]) -> str:
    """Return the code as one word with capitals; a host's code that reads like a name of ours gets a prefix."""
    word = "".join(part.capitalize() for part in kind.code.split("-"))
    return f"Host{word}" if word in _RESERVED_WORDS else word
