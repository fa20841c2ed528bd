"""Build OpenAPI operations and links from the declarations of the routes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from marshmallow import Schema

from ..access.principal import MAX_NAME_LENGTH
from ..clients.oauth_routes import TOKEN_PATH
from ..errors import InvalidIdempotencyKey, PreconditionFailed
from ..mount import Api
from ..web.headers import EVENT_STREAM, FORM, JSON, MERGE_PATCH
from ..web.idempotency import MAX_KEY_LENGTH
from ..web.routing import Route
from .converter import describe_schema
from .examples import EXAMPLE_ID
from .links import build_link_references, list_path_parameters
from .pages import ASSETS
from .patterns import PARTNER_ID_PATTERNS
from .problem_types import list_problem_classes
from .responses import build_responses, is_rate_limited
from .schemas import derive_input_schema

#: The name of the security scheme of bearer tokens in the document.
SECURITY_SCHEME = "bearerAuth"
#: The name of the scheme by which API clients get such a token, where the mount issues them.
OAUTH_SCHEME = "oauth2"
_UUID = {"format": "uuid"}
#: The pattern of an idempotency key in its header: bare, or as a structured field string (RFC 8941 §3.3.3).
_IDEMPOTENCY_KEY_PATTERN = (
    rf"^(?:[!#-+\--~][ !#-+\--~]{{0,{MAX_KEY_LENGTH - 1}}}"
    rf'|"(?:[ !#-\[\]-~]|\\["\\]){{1,{MAX_KEY_LENGTH}}}")$'
)
#: What a parameter in a path means, an example, and the keywords of its schema.
_PATH_PARAMETERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "tenant_id": ("The id of the tenant.", EXAMPLE_ID, _UUID),
    "job_id": ("The id of the bulk job.", EXAMPLE_ID, _UUID),
    "webhook_id": ("The id of the webhook endpoint.", EXAMPLE_ID, _UUID),
    "client_id": ("The id of the API client.", EXAMPLE_ID, _UUID),
    "invitation_id": ("The id of the invitation.", EXAMPLE_ID, _UUID),
    "delivery_id": ("The id of the delivery.", EXAMPLE_ID, _UUID),
    "external_id": (
        "Your own id of the tenant, percent-encoded; it may contain slashes. 1 to 128 characters.",
        "crm-4711",
        {"minLength": 1, "maxLength": 128, "pattern": "^[^\\x00]+$"},
    ),
    "partner_id": (
        "The id of the partner, percent-encoded; it may contain slashes.",
        "acme",
        {"minLength": 1, "maxLength": MAX_NAME_LENGTH, **PARTNER_ID_PATTERNS},
    ),
    "code": ("A problem code.", "tenant-exists", {}),
    "asset": ("The name of a file.", "swagger-ui.css", {}),
}


def build_operation(route: Route, api: Api) -> dict[str, Any]:
    """Build the Operation Object of `route`."""
    summary, details = split_docstring(route.handler.__doc__ or "")
    permissions = list_permissions(route, api)
    roles = []
    if permissions:
        roles = [role for role, granted in api.config.roles.items() if set(permissions).issubset(granted)]
    paragraphs = [details, _describe_permissions(permissions, roles)]
    operation: dict[str, Any] = {
        "operationId": route.endpoint,
        "tags": [get_tag(route)],
        "summary": summary,
        "description": "\n\n".join(filter(None, paragraphs)),
        "security": build_security(permissions, api),
        "x-permissions": list(permissions),
        "x-roles": roles,
        **({"x-rate-limit": route.rate_class} if is_rate_limited(route, api) else {}),
        "parameters": _build_parameters(route, api),
        "responses": build_responses(route, api),
    }
    for status, response in route.responses.items():
        if links := build_link_references(route, response, api.routes):
            operation["responses"][str(status)]["links"] = links
    return operation | _build_request_body(route, api)


def build_security(permissions: tuple[str, ...], api: Api) -> list[dict[str, list[str]]]:
    """Build the security requirements of an operation: a bearer token, whoever issued it; none without permissions.

    Where the mount issues tokens itself, tools may get one by OAuth 2.
    """
    schemes = (SECURITY_SCHEME, OAUTH_SCHEME) if issues_tokens(api) else (SECURITY_SCHEME,)
    return [{scheme: list(permissions)} for scheme in schemes] if permissions else []


def issues_tokens(api: Api) -> bool:
    """Return whether the mount issues access tokens to API clients."""
    return any(route.rule == TOKEN_PATH for route in api.routes)


def split_docstring(text: str) -> tuple[str, str]:
    """Return the first sentence of a docstring without its full stop, and the rest as paragraphs of Markdown.

    A summary is plain text, so one with Markdown loses its backticks.
    """
    first, *others = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    summary, _, rest = first.partition(". ")
    return summary.rstrip(".").replace("`", ""), "\n\n".join(filter(None, [rest, *others]))


def list_permissions(route: Route, api: Api) -> tuple[str, ...]:
    """Return the permissions that a caller needs, none for a public route."""
    return route.required_permissions(api.config.public_docs)


def get_tag(route: Route) -> str:
    """Return the feature that the route belongs to, which is the name of its package."""
    return _get_package(route).rpartition(".")[2]


def build_tags(routes: Iterable[Route]) -> list[dict[str, str]]:
    """Build the tags: the features, each with the first paragraph of its package's docstring."""
    return [
        {"name": name, "description": _summarize_package(package) or name}
        for name, package in {get_tag(route): _get_package(route) for route in routes}.items()
    ]


def build_request_headers() -> dict[str, dict[str, Any]]:
    """Build the parameters of every request header except the token."""
    return {
        "X-Request-ID": _build_header_parameter(
            "The request's id: 1 to 128 characters of `A-Z a-z 0-9 . _ -`. A malformed one is replaced.",
            "b1d0c3f6a5e84d7c9f2e6a1b0c3d4e5f",
        ),
        "If-Match": _build_header_parameter(
            "Write only if the entity tag is one of these (RFC 9110 §13.1.1); 412 otherwise.", '"3"'
        ),
        "If-None-Match": _build_header_parameter(
            "Return the document only if its entity tag is none of these (RFC 9110 §13.1.2); 304 otherwise.", '"3"'
        ),
        "Last-Event-ID": _build_header_parameter(
            "The id of the last event received (HTML §9.2); 204 if nothing follows it.", "running-500"
        ),
        "Idempotency-Key": {
            **_build_header_parameter(
                "Makes the request safe to repeat: it takes effect once, and repetitions return the first response. "
                f"1 to {MAX_KEY_LENGTH} printable ASCII characters.",
                _EXAMPLE_KEY,
            ),
            "schema": {"type": "string", "pattern": _IDEMPOTENCY_KEY_PATTERN, "examples": [_EXAMPLE_KEY]},
        },
    }


_EXAMPLE_KEY = "8e03978e-40d5-43e8-bc93-6894a57f9324"


def _build_header_parameter(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "required": False, "schema": {"type": "string", "examples": [example]}}


def _get_package(route: Route) -> str:
    module = route.handler.__module__
    package = module.rpartition(".")[0]
    return package if "." in package else module


def _summarize_package(package: str) -> str:
    return (sys.modules[package].__doc__ or "").partition("\n\n")[0]


def _describe_permissions(permissions: tuple[str, ...], roles: list[str]) -> str:
    if not permissions:
        return "Public: no token is needed."
    permission_names = " and ".join(f"`{permission}`" for permission in permissions)
    role_names = ", ".join(f"`{role}`" for role in roles) or "no role"
    return f"Needs {permission_names}; granted to {role_names}."


def _build_parameters(route: Route, api: Api) -> list[Any]:
    path = [_build_path_parameter(name, api) for name in list_path_parameters(route)]
    query = [{"in": "query", "schema": derive_input_schema(api.schema(route.query))}] if route.query else []
    conditions = {
        "If-Match": PreconditionFailed in route.problems,
        "If-None-Match": 304 in route.responses,
        "Last-Event-ID": _has_event_stream(route),
        "Idempotency-Key": InvalidIdempotencyKey in route.problems,
    }
    return [*path, *query, *(name for name, applies in conditions.items() if applies), "X-Request-ID"]


def _has_event_stream(route: Route) -> bool:
    return any(isinstance(response, Mapping) and EVENT_STREAM in response for response in route.responses.values())


def _build_path_parameter(name: str, api: Api) -> dict[str, Any]:
    description, example, keywords = _PATH_PARAMETERS[name]
    choices = {"code": [kind.code for kind in list_problem_classes(api)], "asset": list(ASSETS)}
    if name in choices:
        keywords = {"enum": choices[name]}
    schema = {"type": "string", **keywords, "examples": [example]}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _build_request_body(route: Route, api: Api) -> dict[str, Any]:
    if route.body is None:
        return {}
    if not isinstance(route.body, type):
        body = route.body(api)
    else:
        is_patch, in_path = MERGE_PATCH in route.consumes, list_path_parameters(route)
        schema = derive_input_schema(api.schema(route.body), partial=is_patch, in_path=in_path)
        body = dict.fromkeys(route.consumes, schema)
    content = {kind: {"schema": schema} for kind, schema in body.items()}
    description = _PATCH_DESCRIPTION if MERGE_PATCH in route.consumes else _describe_body(body)
    return {"requestBody": {"required": route.body_required, "description": description, "content": content}}


_PATCH_DESCRIPTION = "The members to change, as a merge patch (RFC 7396): null removes a value, what is absent stays."


def _describe_body(content: Mapping[str, Any]) -> str:
    """Return the description of a request body: what its schema is, by media type."""
    schema = content.get(JSON)
    if isinstance(schema, Schema):
        return describe_schema(schema).partition("\n")[0]
    if FORM in content:
        return str(content[FORM]["description"])
    return "The rows, plain or compressed with gzip."
